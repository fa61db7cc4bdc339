// Every operator, queued one behind the other as a step has them: the CPU's bits on both chips, and
// what the reference kernels compute.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"

namespace fathom::cpu::discrete {
namespace {

using test::Chip;
using test::matrix;
using test::rows_weight;

constexpr int64_t kRows = 5, kHidden = 64, kVocab = 40, kExperts = 4, kInner = 32;
constexpr int32_t kTopK = 2;
constexpr fathom_mla_shape kMla = {2, 32, 16, 8, 16, 0.2f};
constexpr int64_t kQ = 2 * (16 + 8), kLatent = 32 + 8, kValues = 2 * 16;
// Rows 0 to 2 are given, of a sequence that is new; rows 3 and 4 are generated, of two.
constexpr int32_t kBlockSize = 4, kBlocks = 6, kContext = 4;

class Step {
 public:
  Step(fathom_backend_entry_fn entry, const char* kernels, int planes = 1)
      : chip_(entry, kernels), planes_(planes) {}

  // All results that the step leaves, one behind the other.
  std::vector<float> run() {
    embed_and_norm();
    attend();
    mix_experts();
    logits();
    std::vector<float> results;
    for (const auto& [data, count] : results_) {
      const auto values = chip_.download(data, count);
      results.insert(results.end(), values.begin(), values.end());
    }
    return results;
  }

 private:
  float* floats(int64_t count, float deviation = 0.5f) {
    std::normal_distribution<float> normal(0, deviation);
    std::vector<float> values;
    for (int64_t i = 0; i < count; ++i) values.push_back(normal(random_));
    return chip_.upload(values);
  }
  fathom_weight weight(int64_t n, int64_t k) { return rows_weight(floats(n * k, 0.2f), n, k); }
  // A result of its own.
  fathom_tensor result(int64_t rows, int64_t columns) {
    const auto count = static_cast<size_t>(rows * columns);
    auto* data = chip_.memory<float>(count);
    results_.emplace_back(data, count);
    return matrix(data, rows, columns);
  }
  void queue(fathom_op op, const void* args) {
    ASSERT_EQ(chip_.run(op, args), FATHOM_OK) << chip_.error();
  }
  fathom_tensor linear(const fathom_tensor& x, int64_t n) {
    const fathom_tensor out = result(x.shape[0], n);
    const fathom_linear_args args = {sizeof(args), x, weight(n, x.shape[1]), out};
    queue(FATHOM_OP_LINEAR, &args);
    return out;
  }

  void embed_and_norm() {
    x_ = result(kRows, kHidden);
    const fathom_embed_args embed = {sizeof(embed),
                                     chip_.upload(std::vector<int32_t>{3, -1, 39, 0, 7}), kRows,
                                     weight(kVocab, kHidden), x_};
    queue(FATHOM_OP_EMBED, &embed);
    const fathom_tensor residual = matrix(floats(kRows * kHidden), kRows, kHidden);
    const fathom_rms_norm_args norm = {sizeof(norm), x_, residual, floats(kHidden), 1e-6f, 0, x_};
    queue(FATHOM_OP_RMS_NORM, &norm);
  }

  fathom_sequences sequences(const std::vector<fathom_sequence>& present) {
    const std::vector<int32_t> blocks = {5, 0, 2, 4, 3, 1};
    return {chip_.upload(present),
            chip_.upload(std::vector<int32_t>{static_cast<int32_t>(present.size())}),
            chip_.upload(blocks),
            static_cast<int32_t>(present.size()),
            kRows,
            2 * kBlockSize,
            kBlocks};
  }

  void attend() {
    fathom_mla_attention_args args = {};
    args.size = sizeof(args);
    args.shape = kMla;
    args.q = linear(x_, kQ);
    args.wkv_b = weight(2 * (16 + 16), 32);
    const int64_t width = planes_ == 2 ? kMla.kv_lora_rank : kLatent;
    args.cache = {floats(kBlocks * kBlockSize * width), FATHOM_F32, kBlockSize, kBlocks, nullptr};
    if (planes_ == 2) args.cache.rope = floats(kBlocks * kBlockSize * kMla.rope_dim);
    const fathom_mla_prepare_args prepare = {
        sizeof(prepare),
        kMla,
        args.q,
        linear(x_, kLatent),
        floats(32),
        1e-6f,
        2 * kBlockSize,
        floats(2 * kBlockSize * 8),
        chip_.upload(std::vector<int32_t>{0, 1, 2, kContext, kContext}),
        chip_.upload(std::vector<int64_t>{20, 21, 22, 8, 4}),
        args.cache};
    queue(FATHOM_OP_MLA_PREPARE, &prepare);
    args.out = result(kRows, kValues);
    fathom_mla_attention_args given = args;
    given.sequences = sequences({{0, 3, 0, 0}});
    chip_.add_workspace(FATHOM_OP_MLA_PREFILL, given);
    queue(FATHOM_OP_MLA_PREFILL, &given);
    fathom_mla_attention_args generated = args;
    generated.sequences = sequences({{3, 1, kContext, 1}, {4, 1, kContext, 4}});
    chip_.add_workspace(FATHOM_OP_MLA_DECODE, generated);
    queue(FATHOM_OP_MLA_DECODE, &generated);
    attended_ = linear(args.out, kHidden);
    const fathom_add_args add = {sizeof(add), x_, attended_};
    queue(FATHOM_OP_ADD, &add);
  }

  void mix_experts() {
    const fathom_tensor gate = linear(x_, kInner);
    const fathom_silu_mul_args silu = {sizeof(silu), gate, linear(x_, kInner), gate};
    queue(FATHOM_OP_SILU_MUL, &silu);
    auto* ids = chip_.memory<int32_t>(kRows * kTopK);
    const fathom_tensor shares = result(kRows, kTopK);
    const fathom_moe_gate_args choose = {sizeof(choose),
                                         linear(x_, kExperts),
                                         floats(kExperts),
                                         FATHOM_GATE_NOAUX_TC,
                                         kTopK,
                                         1,
                                         1,
                                         1,
                                         2.5f,
                                         ids,
                                         static_cast<float*>(shares.data),
                                         nullptr,
                                         nullptr};
    queue(FATHOM_OP_MOE_GATE, &choose);
    std::vector<fathom_expert> experts;
    for (int64_t e = 0; e < kExperts; ++e) {
      experts.push_back({weight(kInner, kHidden).data, weight(kInner, kHidden).data,
                         weight(kHidden, kInner).data, nullptr, nullptr, nullptr});
    }
    fathom_moe_experts_args args = {};
    args.size = sizeof(args);
    args.x = x_;
    args.expert_ids = ids;
    args.expert_weights = static_cast<float*>(shares.data);
    args.top_k = kTopK;
    args.accumulate = 1;
    args.num_experts = kExperts;
    args.experts = chip_.upload(experts);
    args.gate = args.up = rows_weight(nullptr, kInner, kHidden);
    args.down = rows_weight(nullptr, kHidden, kInner);
    args.out = attended_;
    chip_.add_workspace(FATHOM_OP_MOE_EXPERTS, args);
    queue(FATHOM_OP_MOE_EXPERTS, &args);
  }

  void logits() {
    const fathom_tensor most = result(kRows, 1), sums = result(kRows, 1);
    const fathom_logits_stats_args stats = {
        sizeof(stats), linear(attended_, kVocab), static_cast<float*>(most.data),
        chip_.memory<int32_t>(kRows), static_cast<float*>(sums.data)};
    queue(FATHOM_OP_LOGITS_STATS, &stats);
  }

  Chip chip_;
  const int planes_;
  std::mt19937 random_{14};
  fathom_tensor x_ = {};
  fathom_tensor attended_ = {};
  std::vector<std::pair<const float*, size_t>> results_;
};

TEST(Operators, HaveTheSameBitsWhereverMemoryIs) {
  for (const char* kernels : {"native", "portable", "reference"}) {
    for (const int planes : {1, 2}) {
      const auto here = Step(fathom_cpu_backend_entry, kernels, planes).run();
      const auto there = Step(fathom_cpu_discrete_backend_entry, kernels, planes).run();
      ASSERT_EQ(here.size(), there.size());
      EXPECT_EQ(std::memcmp(here.data(), there.data(), here.size() * sizeof(float)), 0)
          << kernels << ", " << planes << " planes";
    }
  }
}

TEST(Operators, FindBothPlanesOfTheCache) {
  Chip chip(fathom_cpu_discrete_backend_entry);
  const auto prepare = [&](int64_t latents, int64_t ropes) {
    const fathom_mla_prepare_args args = {
        sizeof(args),
        kMla,
        matrix(chip.memory<float>(kQ), 1, kQ),
        matrix(chip.memory<float>(kLatent), 1, kLatent),
        chip.memory<float>(32),
        1e-6f,
        1,
        chip.memory<float>(8),
        chip.upload(std::vector<int32_t>{0}),
        chip.upload(std::vector<int64_t>{3}),
        {chip.memory<float>(static_cast<size_t>(latents)), FATHOM_F32, kBlockSize, 1,
         chip.memory<float>(static_cast<size_t>(ropes))}};
    const fathom_status status = chip.run(FATHOM_OP_MLA_PREPARE, &args);
    const std::string error = status == FATHOM_OK ? "" : chip.error();
    chip.synchronize();
    return error;
  };
  EXPECT_EQ(prepare(kBlockSize * 32, kBlockSize * 8), "");
  EXPECT_NE(prepare(kBlockSize * 32 - 1, kBlockSize * 8).find("the cache"), std::string::npos);
  EXPECT_NE(prepare(kBlockSize * 32, kBlockSize * 8 - 1).find("second plane"), std::string::npos);
}

TEST(Operators, ComputeWhatTheReferenceDoes) {
  const auto native = Step(fathom_cpu_discrete_backend_entry, "native").run();
  const auto reference = Step(fathom_cpu_discrete_backend_entry, "reference").run();
  ASSERT_EQ(native.size(), reference.size());
  for (size_t i = 0; i < native.size(); ++i) {
    ASSERT_NEAR(native[i], reference[i], 1e-4 * (1 + std::abs(reference[i]))) << i;
  }
}

TEST(Operators, ReadWeightsThatWerePackedWhereMemoryIs) {
  constexpr int64_t kOutputs = 70, kColumns = 96;
  std::mt19937 random(5);
  std::vector<int8_t> codes;
  for (int64_t i = 0; i < kOutputs * kColumns; ++i) {
    codes.push_back(static_cast<int8_t>(static_cast<int>(random() % 255) - 127));
  }
  const std::vector<float> scales(kOutputs * 3, 0.01f);
  const fathom_weight in_rows = {codes.data(), scales.data(),      FATHOM_I8, 1,
                                 32,           FATHOM_LAYOUT_ROWS, kOutputs,  kColumns};
  const auto product = [&](fathom_backend_entry_fn entry) {
    Chip chip(entry);
    size_t bytes = 0;
    EXPECT_EQ(chip.table.pack_bytes(chip.device, FATHOM_OP_LINEAR, &in_rows, &bytes), FATHOM_OK);
    auto* memory = chip.memory<std::byte>(bytes);
    fathom_weight packed = {};
    EXPECT_EQ(chip.table.pack(chip.device, FATHOM_OP_LINEAR, &in_rows, memory, &packed), FATHOM_OK)
        << chip.error();
    EXPECT_EQ(packed.data, memory);
    std::vector<float> x;
    for (int64_t i = 0; i < kColumns; ++i) x.push_back(static_cast<float>(i % 7) - 3);
    auto* out = chip.memory<float>(kOutputs);
    const fathom_linear_args args = {sizeof(args), matrix(chip.upload(x), 1, kColumns), packed,
                                     matrix(out, 1, kOutputs)};
    EXPECT_EQ(chip.run(FATHOM_OP_LINEAR, &args), FATHOM_OK) << chip.error();
    return chip.download(out, kOutputs);
  };
  EXPECT_EQ(product(fathom_cpu_backend_entry), product(fathom_cpu_discrete_backend_entry));

  Chip chip(fathom_cpu_discrete_backend_entry);
  size_t bytes = 0;
  EXPECT_EQ(chip.table.pack_bytes(chip.device, FATHOM_OP_LINEAR, &in_rows, &bytes), FATHOM_OK);
  fathom_weight packed = {};
  const auto pack = [&](const fathom_weight& weight, void* memory) {
    return chip.table.pack(chip.device, FATHOM_OP_LINEAR, &weight, memory, &packed);
  };
  EXPECT_EQ(pack(in_rows, chip.memory<std::byte>(bytes - 1)), FATHOM_INVALID);
  fathom_weight on_device = in_rows;
  on_device.data = chip.upload(codes);
  EXPECT_EQ(pack(on_device, chip.memory<std::byte>(bytes)), FATHOM_INVALID);
  EXPECT_NE(chip.error().find("host memory"), std::string::npos) << chip.error();
}

}  // namespace
}  // namespace fathom::cpu::discrete
