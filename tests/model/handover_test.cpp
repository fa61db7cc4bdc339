// What one engine cached of a prompt, taken over by another whose cache has other planes, blocks or
// numbers: docs/kv-transfer.md says which bits it then has.
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "chips.h"
#include "kvtransfer/block_cutter.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using models::KvBlockFormat;
using Bytes = std::vector<std::byte>;

constexpr int64_t kPrompt = 150;  // tokens
constexpr int64_t kContext = 256;

struct CacheKind {
  int32_t planes;
  int32_t block_size;
  fathom_dtype dtype;
};

// The embedded model with one sequence, in blocks that lie in no order.
class Engine {
 public:
  explicit Engine(const CacheKind& kind)
      : blocks_(2 * kContext / kind.block_size),
        device_(
            open_chip(kCpuDiscrete,
                      {.threads = 1, .kernels = "native,planes=" + std::to_string(kind.planes)})) {
    const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
    const auto config = dsv3::Config::load(directory / "config.json").value();
    const models::RunLimits limits = {.max_step_tokens = kContext,
                                      .max_logit_rows = 1,
                                      .max_context = kContext,
                                      .max_step_sequences = 1,
                                      .num_kv_blocks = blocks_,
                                      .kv_block_size = kind.block_size,
                                      .kv_dtype = kind.dtype};
    auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
    model_ = dsv3::Model::load(checkpoint, config, *device_, limits, {}).value();
    for (int64_t i = 0; i < kContext / kind.block_size; ++i) {
      table_.push_back(static_cast<int32_t>(blocks_ - 1 - 2 * i));
    }
  }

  KvBlockFormat format() const { return model_->kv_block_format(); }

  // The prompt from a row on, and the token behind it: the logits of both.
  std::vector<float> answer(int64_t begin) {
    std::vector<float> logits = compute(begin, kPrompt, false);
    const auto behind = compute(kPrompt, kPrompt + 1, true);
    logits.insert(logits.end(), behind.begin(), behind.end());
    return logits;
  }

  Bytes read(int64_t first, int64_t count) {
    Bytes bytes(static_cast<size_t>(count) * models::kv_block_bytes(format()));
    EXPECT_TRUE(model_->read_kv_blocks(0, table(first, count), bytes).ok());
    return bytes;
  }
  void write(int64_t first, int64_t count, const Bytes& bytes) {
    EXPECT_TRUE(model_->write_kv_blocks(0, table(first, count), bytes).ok());
  }

 private:
  std::span<const int32_t> table(int64_t first, int64_t count) const {
    return std::span(table_).subspan(static_cast<size_t>(first), static_cast<size_t>(count));
  }

  std::vector<float> compute(int64_t begin, int64_t end, bool generated) {
    std::vector<int32_t> tokens, positions;
    std::vector<int64_t> slots;
    const int64_t block_size = format().block_size;
    for (int64_t row = begin; row < end; ++row) {
      tokens.push_back(static_cast<int32_t>((row * 37 + 11) % 1200));
      positions.push_back(static_cast<int32_t>(row));
      slots.push_back(table_[static_cast<size_t>(row / block_size)] * block_size +
                      row % block_size);
    }
    const std::vector<models::SequenceRows> rows = {{0, end - begin, begin, table_}};
    const std::vector<models::SequenceRows> none;
    const std::vector<int32_t> last = {static_cast<int32_t>(tokens.size()) - 1};
    const models::StepBatch batch = {.tokens = tokens,
                                     .positions = positions,
                                     .slots = slots,
                                     .given = generated ? none : rows,
                                     .generated = generated ? rows : none,
                                     .logit_rows = last,
                                     .data_rows = {}};
    const auto logits = model_->forward(batch);
    EXPECT_TRUE(logits.ok()) << logits.error().message;
    return {logits->begin(), logits->end()};
  }

  int64_t blocks_;
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<dsv3::Model> model_;
  std::vector<int32_t> table_;
};

Bytes converted(const Bytes& bytes, fathom_dtype from, fathom_dtype to) {
  Bytes out(bytes.size() / device::dtype_size(from) * device::dtype_size(to));
  kvtransfer::convert_numbers(bytes, from, out, to);
  return out;
}

int64_t whole_blocks(const Engine& engine) {
  return (kPrompt - 1) / engine.format().block_size;
}

// Hands over all whole blocks before the last token, as engines do. Returns how many tokens.
int64_t hand_over(Engine& prefill, Engine& decode) {
  const KvBlockFormat own = prefill.format();
  const KvBlockFormat wire = kvtransfer::wire_format(own, decode.format());
  const int64_t tokens = whole_blocks(decode) * wire.block_size;
  kvtransfer::BlockCutter cutter(own, wire, 0, whole_blocks(decode));
  for (int64_t first = 0; first * own.block_size < tokens;) {
    const int64_t left = (tokens + own.block_size - 1) / own.block_size - first;
    const int64_t count = std::min(left, models::kMaxKvBlocksACall);
    for (const auto& some : cutter.add({first, count, prefill.read(first, count)})) {
      decode.write(some.first, some.count,
                   converted(some.bytes, wire.dtype, decode.format().dtype));
    }
    first += count;
  }
  return tokens;
}

std::vector<float> answer_apart(const CacheKind& prefill_kind, const CacheKind& decode_kind) {
  Engine prefill(prefill_kind), decode(decode_kind);
  prefill.answer(0);
  return decode.answer(hand_over(prefill, decode));
}

TEST(Handover, WithTheSameNumbersTheAnswerIsThatOfOneEngine) {
  for (const auto dtype : {FATHOM_F32, FATHOM_BF16}) {
    const auto expected = Engine({1, 32, dtype}).answer(0);
    for (const CacheKind& kind : {CacheKind{2, 16, dtype}, {2, 128, dtype}, {1, 64, dtype}}) {
      EXPECT_EQ(Engine(kind).answer(0), expected);
    }
    EXPECT_EQ(answer_apart({1, 16, dtype}, {2, 64, dtype}), expected);
    EXPECT_EQ(answer_apart({2, 64, dtype}, {1, 16, dtype}), expected);
    EXPECT_EQ(answer_apart({2, 128, dtype}, {2, 32, dtype}), expected);
    EXPECT_EQ(answer_apart({1, 32, dtype}, {1, 128, dtype}), expected);
  }
}

Bytes layer(const Engine& engine, const Bytes& block, size_t index) {
  const size_t bytes = models::kv_layer_bytes(engine.format());
  const auto begin = block.begin() + static_cast<std::ptrdiff_t>(index * bytes);
  return {begin, begin + static_cast<std::ptrdiff_t>(bytes)};
}

// Each number is rounded as a bf16 engine rounds what it caches. What the first layer caches
// depends on no attention, so it is that engine's own to the bit.
TEST(Handover, F32IsRoundedToTheNearestBf16) {
  Engine prefill({1, 64, FATHOM_F32}), decode({2, 64, FATHOM_BF16}), alone({1, 64, FATHOM_BF16});
  prefill.answer(0);
  alone.answer(0);
  EXPECT_EQ(hand_over(prefill, decode), 128);
  for (int64_t block = 0; block < 2; ++block) {
    const Bytes taken = decode.read(block, 1);
    EXPECT_TRUE(taken == converted(prefill.read(block, 1), FATHOM_F32, FATHOM_BF16));
    const Bytes own = alone.read(block, 1);
    EXPECT_TRUE(layer(decode, taken, 0) == layer(alone, own, 0));
    EXPECT_FALSE(layer(decode, taken, 1) == layer(alone, own, 1));
  }
  const auto expected = answer_apart({1, 64, FATHOM_F32}, {2, 64, FATHOM_BF16});
  EXPECT_EQ(answer_apart({2, 16, FATHOM_F32}, {1, 64, FATHOM_BF16}), expected);
}

TEST(Handover, Bf16IsTakenOverAsItIs) {
  Engine prefill({2, 64, FATHOM_BF16}), decode({1, 64, FATHOM_F32});
  prefill.answer(0);
  EXPECT_EQ(hand_over(prefill, decode), 128);
  for (int64_t block = 0; block < 2; ++block) {
    EXPECT_TRUE(decode.read(block, 1) ==
                converted(prefill.read(block, 1), FATHOM_BF16, FATHOM_F32));
  }
  const auto expected = answer_apart({2, 64, FATHOM_BF16}, {1, 64, FATHOM_F32});
  EXPECT_EQ(answer_apart({1, 128, FATHOM_BF16}, {2, 64, FATHOM_F32}), expected);
}

}  // namespace
}  // namespace fathom
