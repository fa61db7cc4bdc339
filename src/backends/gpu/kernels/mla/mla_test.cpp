// MLA on the emulated chip against the CPU's reference kernels.
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "backends/gpu/kernels/testing/chips.h"
#include "backends/gpu/kernels/testing/weights.h"

namespace fathom::gpu::test {
namespace {

fathom_mla_shape mla_shape(int32_t heads, int32_t latent, int32_t nope, int32_t rope, int32_t v) {
  return {heads, latent, nope, rope, v, 1 / std::sqrt(static_cast<float>(nope + rope))};
}

// Sequences in one paged cache, whose blocks lie in any order; entries that are nobody's are NaN.
struct AttentionCase {
  fathom_mla_shape shape;
  int32_t format;
  int32_t block_size;
  std::vector<fathom_sequence> sequences;  // where their blocks begin is found here

  int64_t q_columns() const { return int64_t{shape.num_heads} * (shape.nope_dim + shape.rope_dim); }
  int64_t entry() const { return int64_t{shape.kv_lora_rank} + shape.rope_dim; }
  int64_t out_columns() const { return int64_t{shape.num_heads} * shape.v_dim; }
};

struct AttentionData {
  AttentionCase of;
  int64_t rows = 1;  // the first one is no sequence's
  std::vector<float> q;
  TestWeight wkv_b;
  std::vector<int32_t> blocks;
  std::vector<uint16_t> cache;
  int64_t max_positions = 0;

  AttentionData(std::mt19937& random, AttentionCase attention)
      : of(std::move(attention)),
        wkv_b(random, of.format, int64_t{of.shape.num_heads} * (of.shape.nope_dim + of.shape.v_dim),
              of.shape.kv_lora_rank) {
    int32_t needed = 0;
    for (auto& sequence : of.sequences) {
      const int32_t end = sequence.context + sequence.query_count;
      sequence.query_begin = static_cast<int32_t>(rows);
      sequence.block_begin = needed;
      rows += sequence.query_count;
      needed += (end + of.block_size - 1) / of.block_size;
      max_positions = std::max<int64_t>(max_positions, end);
    }
    q = random_bf16(random, rows * of.q_columns());
    blocks.resize(static_cast<size_t>(needed) + 3);
    std::iota(blocks.begin(), blocks.end(), 0);
    std::shuffle(blocks.begin(), blocks.end(), random);
    cache.assign(blocks.size() * static_cast<size_t>(of.block_size * of.entry()), 0xffff);
    for (const auto& sequence : of.sequences) fill(random, sequence);
  }

  void fill(std::mt19937& random, const fathom_sequence& sequence) {
    for (int32_t p = 0; p < sequence.context + sequence.query_count; ++p) {
      const int64_t block = blocks[static_cast<size_t>(sequence.block_begin + p / of.block_size)];
      const int64_t slot = block * of.block_size + p % of.block_size;
      const auto values = random_bf16(random, of.entry());
      for (int64_t i = 0; i < of.entry(); ++i) {
        cache[static_cast<size_t>(slot * of.entry() + i)] = to_bf16(values[static_cast<size_t>(i)]);
      }
    }
  }

  // The sequences' own queries, or as they are cut otherwise.
  std::vector<float> attend(TestChip& chip, fathom_op op) const {
    return attend(chip, op, of.sequences);
  }
  std::vector<float> attend(TestChip& chip, fathom_op op,
                            const std::vector<fathom_sequence>& sequences) const {
    fathom_mla_attention_args args = {};
    args.size = sizeof(args);
    args.shape = of.shape;
    args.q = chip.upload_matrix(q, rows, of.q_columns());
    args.wkv_b = wkv_b.on(chip);
    args.cache = {chip.upload(cache), FATHOM_BF16, of.block_size,
                  static_cast<int64_t>(blocks.size()), nullptr};
    auto room = sequences;
    room.resize(sequences.size() + 2, {1 << 20, 1, 1 << 20, 1 << 20});  // not to be read
    args.sequences.sequences = chip.upload(room);
    args.sequences.count =
        chip.upload(std::vector<int32_t>{static_cast<int32_t>(sequences.size())});
    args.sequences.blocks = chip.upload(blocks);
    args.sequences.max_sequences = static_cast<int32_t>(room.size());
    for (const auto& sequence : sequences) args.sequences.max_queries += sequence.query_count;
    args.sequences.max_positions = max_positions + 5;
    args.sequences.max_blocks = static_cast<int64_t>(blocks.size());
    const std::vector<float> before(static_cast<size_t>(rows * of.out_columns()), 5.0f);
    args.out = chip.upload_matrix(before, rows, of.out_columns());
    chip.run_with_workspace(op, args);
    return chip.download_matrix(args.out);
  }
};

// Keys, values and weights of positions are rounded to BF16: a score of some numbers of about 1
// moves by less than 0.01, and an output that is a mean of numbers of about 1 by as much.
constexpr double kAttentionError = 0.02;

void expect_as_reference(fathom_op op, const AttentionCase& of) {
  std::mt19937 random(51);
  const AttentionData data(random, of);
  TestChip reference = TestChip::reference();
  const auto wanted = data.attend(reference, op);
  for (const int warp : kWidths) {
    for (const std::string& order : lane_orders()) {
      SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order);
      TestChip chip = TestChip::emulated(warp, order);
      expect_near(data.attend(chip, op), wanted, 0x1p-8, kAttentionError);
    }
  }
}

TEST(GpuMlaDecode, AgreesWithTheReference) {
  // Two segments and a part, queries of a draft, more heads than a tile has, and a first token.
  expect_as_reference(FATHOM_OP_MLA_DECODE, {mla_shape(18, 64, 32, 16, 32),
                                             FATHOM_F8_E4M3,
                                             16,
                                             {{0, 1, 1030, 0}, {0, 3, 40, 0}, {0, 1, 0, 0}}});
}

TEST(GpuMlaDecode, AgreesAtTheShapeOfV3) {
  expect_as_reference(FATHOM_OP_MLA_DECODE,
                      {mla_shape(3, 512, 128, 64, 128), FATHOM_BF16, 64, {{0, 1, 70, 0}}});
}

TEST(GpuMlaDecode, TakesInt8AndBlocksOfAnySize) {
  expect_as_reference(FATHOM_OP_MLA_DECODE,
                      {mla_shape(2, 192, 48, 32, 80), FATHOM_I8, 24, {{0, 2, 100, 0}}});
}

// Tiles of heads that are alone, full, or have a part, and as many as share a block.
TEST(GpuMlaDecode, TakesAnyNumberOfHeads) {
  if (lane_orders().size() == 1) GTEST_SKIP() << "FATHOM_LONG=1 runs it";
  std::mt19937 random(54);
  for (const int32_t heads : {1, 16, 17, 128}) {
    const AttentionData data(
        random, {mla_shape(heads, 512, 128, 64, 128), FATHOM_BF16, 16, {{0, 1, 17, 0}}});
    TestChip reference = TestChip::reference();
    const auto wanted = data.attend(reference, FATHOM_OP_MLA_DECODE);
    for (const int warp : kWidths) {
      SCOPED_TRACE(testing::Message() << "warps of " << warp << ", " << heads << " heads");
      TestChip chip = TestChip::emulated(warp, "2");
      expect_near(data.attend(chip, FATHOM_OP_MLA_DECODE), wanted, 0x1p-8, kAttentionError);
    }
  }
}

TEST(GpuMlaPrefill, AgreesWithTheReference) {
  expect_as_reference(FATHOM_OP_MLA_PREFILL, {mla_shape(3, 64, 32, 16, 32),
                                              FATHOM_F8_E4M3,
                                              16,
                                              {{0, 70, 33, 0}, {0, 1, 0, 0}, {0, 5, 0, 0}}});
}

TEST(GpuMlaPrefill, AgreesAtTheShapeOfV3) {
  expect_as_reference(FATHOM_OP_MLA_PREFILL,
                      {mla_shape(2, 512, 128, 64, 128), FATHOM_BF16, 64, {{0, 20, 50, 0}}});
}

TEST(GpuMlaPrefill, TakesInt8AndBlocksOfAnySize) {
  expect_as_reference(FATHOM_OP_MLA_PREFILL,
                      {mla_shape(2, 192, 48, 32, 80), FATHOM_I8, 24, {{0, 67, 3, 0}}});
}

// A row alone, or in other company, has the same bits.
void expect_same_alone(fathom_op op, int32_t queries) {
  std::mt19937 random(52);
  const AttentionData data(
      random,
      {mla_shape(2, 64, 32, 16, 32), FATHOM_F8_E4M3, 16, {{0, queries, 540, 0}, {0, 30, 0, 0}}});
  const fathom_sequence whole = data.of.sequences[0];
  for (const int warp : kWidths) {
    TestChip chip = TestChip::emulated(warp, "1");
    const auto all = data.attend(chip, op);
    for (const int32_t at : {0, queries / 2, queries - 1}) {
      const fathom_sequence one = {whole.query_begin + at, 1, whole.context + at,
                                   whole.block_begin};
      EXPECT_EQ(
          rows_of_matrix(data.attend(chip, op, {one}), data.of.out_columns(), one.query_begin, 1),
          rows_of_matrix(all, data.of.out_columns(), one.query_begin, 1))
          << "warps of " << warp << ", query " << at;
    }
  }
}

TEST(GpuMlaDecode, ARowIsTheSameInAnyBatch) {
  expect_same_alone(FATHOM_OP_MLA_DECODE, 4);
}

TEST(GpuMlaPrefill, ARowIsTheSameHoweverASequenceIsCut) {
  expect_same_alone(FATHOM_OP_MLA_PREFILL, 70);
}

TEST(GpuMlaPrepare, AgreesWithTheReference) {
  std::mt19937 random(53);
  constexpr int64_t kRows = 4;
  constexpr int64_t kPositions = 50;
  constexpr int64_t kSlots = 3 * 16;
  const fathom_mla_shape shape = mla_shape(5, 512, 128, 64, 128);
  const int64_t q_columns = int64_t{shape.num_heads} * (shape.nope_dim + shape.rope_dim);
  const int64_t entry = int64_t{shape.kv_lora_rank} + shape.rope_dim;
  const auto q = random_bf16(random, kRows * q_columns);
  const auto kv_a = random_bf16(random, kRows * entry);
  const auto norm = random_bf16(random, shape.kv_lora_rank);
  std::vector<float> cos_sin;
  for (int64_t i = 0; i < kPositions * shape.rope_dim; ++i) {
    const auto angle = static_cast<float>(i / shape.rope_dim) * 0.1f;
    cos_sin.push_back(i % shape.rope_dim < shape.rope_dim / 2 ? std::cos(angle) : std::sin(angle));
  }
  for (const int32_t planes : {1, 2}) {
    const auto prepare = [&](TestChip chip) {
      fathom_mla_prepare_args args = {};
      args.size = sizeof(args);
      args.shape = shape;
      args.q = chip.upload_matrix(q, kRows, q_columns);
      args.kv_a = chip.upload_matrix(kv_a, kRows, entry, entry + 8);
      args.kv_norm = chip.upload(norm);
      args.eps = 1e-6f;
      args.max_positions = kPositions;
      args.cos_sin = chip.upload(cos_sin);
      args.positions = chip.upload(std::vector<int32_t>{49, 0, 7, 8});
      args.slots = chip.upload(std::vector<int64_t>{47, 3, 16, 0});
      const std::vector<uint16_t> zeros(static_cast<size_t>(kSlots * entry));
      args.cache = {chip.upload(zeros), FATHOM_BF16, 16, 3,
                    planes == 2 ? chip.upload(zeros) : nullptr};
      chip.run(FATHOM_OP_MLA_PREPARE, &args);
      auto all = chip.download_matrix(args.q);
      const auto add = [&](const void* plane) {
        for (const uint16_t bits : chip.download<uint16_t>(plane, zeros.size())) {
          all.push_back(from_bf16(bits));
        }
      };
      add(args.cache.data);
      if (planes == 2) add(args.cache.rope);
      return all;
    };
    const auto wanted = prepare(TestChip::reference());
    for (const int warp : kWidths) {
      for (const std::string& order : lane_orders()) {
        SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order);
        // What nearly cancels in a rotation keeps the rounding of its products.
        expect_near(prepare(TestChip::emulated(warp, order)), wanted, 0x1p-8, 1e-6);
      }
    }
  }
}

}  // namespace
}  // namespace fathom::gpu::test
