// The gate and the experts on the emulated chip against the CPU's reference kernels.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/gpu/kernels/testing/chips.h"
#include "backends/gpu/kernels/testing/weights.h"

namespace fathom::gpu::test {
namespace {

struct GateCase {
  fathom_gate_kind kind;
  int64_t experts;
  int32_t top_k, num_groups, top_groups;
  bool has_bias;
};

struct Gated {
  std::vector<int32_t> ids;
  std::vector<float> weights;
  std::vector<int64_t> loads;
};

constexpr int64_t kGateRows = 7;  // the last one is padding

Gated gate_on(TestChip chip, const GateCase& of, const std::vector<float>& logits,
              const std::vector<float>& bias) {
  const auto chosen = static_cast<size_t>(kGateRows * of.top_k);
  fathom_moe_gate_args args = {};
  args.size = sizeof(args);
  args.logits = device::matrix(chip.upload(logits), FATHOM_F32, kGateRows, of.experts);
  args.bias = of.has_bias ? chip.upload(bias) : nullptr;
  args.kind = of.kind;
  args.top_k = of.top_k;
  args.num_groups = of.num_groups;
  args.top_groups = of.top_groups;
  args.normalize = of.kind == FATHOM_GATE_NOAUX_TC ? 1 : 0;
  args.scale = 2.5f;
  args.expert_ids = static_cast<int32_t*>(chip.alloc(chosen * sizeof(int32_t)));
  args.expert_weights = static_cast<float*>(chip.alloc(chosen * sizeof(float)));
  args.rows = chip.upload(std::vector<int32_t>{kGateRows - 1});
  args.loads = chip.upload(std::vector<int64_t>(static_cast<size_t>(of.experts), 3));
  chip.run(FATHOM_OP_MOE_GATE, &args);
  return {chip.download<int32_t>(args.expert_ids, chosen),
          chip.download<float>(args.expert_weights, chosen),
          chip.download<int64_t>(args.loads, static_cast<size_t>(of.experts))};
}

TEST(GpuMoeGate, AgreesWithTheReference) {
  std::mt19937 random(31);
  for (const GateCase& of : {GateCase{FATHOM_GATE_NOAUX_TC, 256, 8, 8, 4, true},
                             GateCase{FATHOM_GATE_NOAUX_TC, 16, 4, 4, 2, false},
                             GateCase{FATHOM_GATE_SOFTMAX, 64, 6, 1, 1, false},
                             GateCase{FATHOM_GATE_SOFTMAX_GROUPS, 160, 6, 8, 3, false}}) {
    auto logits = random_bf16(random, kGateRows * of.experts);
    logits[1] = logits[0] = 3;  // the lower of equals comes first
    const auto bias = random_bf16(random, of.experts, 0.3f);
    const auto wanted = gate_on(TestChip::reference(), of, logits, bias);
    for (const int warp : kWidths) {
      for (const std::string& order : lane_orders()) {
        SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order << ", "
                                        << of.experts << " experts");
        const auto got = gate_on(TestChip::emulated(warp, order), of, logits, bias);
        EXPECT_EQ(got.ids, wanted.ids);
        EXPECT_EQ(got.loads, wanted.loads);
        expect_near(got.weights, wanted.weights, 0x1p-19, 0);
      }
    }
  }
}

// Experts [kFirst, kFirst + experts) are here; ids from kFirst - 2 on are chosen.
constexpr int64_t kFirst = 5;
constexpr int32_t kTopK = 3;

struct ExpertsCase {
  int64_t rows, hidden, inner, experts;
  int32_t format;
  bool accumulates;
};

struct ExpertsData {
  std::vector<float> x, out, weights;
  std::vector<int32_t> ids;
  std::vector<TestWeight> gate, up, down;

  ExpertsData(std::mt19937& random, const ExpertsCase& of)
      : x(random_bf16(random, of.rows * of.hidden)),
        out(random_bf16(random, of.rows * of.hidden)),
        weights(random_bf16(random, of.rows * kTopK, 0.3f)) {
    std::uniform_int_distribution<int32_t> any(kFirst - 2,
                                               static_cast<int32_t>(kFirst + of.experts));
    // The last expert but one is nobody's choice, and the first rows all choose the first one.
    for (int64_t i = 0; i < of.rows * kTopK; ++i) {
      int32_t id = i < of.rows ? static_cast<int32_t>(kFirst) : any(random);
      if (id == kFirst + of.experts - 2) id = -1;
      ids.push_back(id);
    }
    for (int64_t e = 0; e < of.experts; ++e) {
      gate.emplace_back(random, of.format, of.inner, of.hidden);
      up.emplace_back(random, of.format, of.inner, of.hidden);
      down.emplace_back(random, of.format, of.hidden, of.inner);
    }
  }
};

std::vector<float> experts_on(TestChip chip, const ExpertsCase& of, const ExpertsData& data,
                              int64_t first_row, int64_t rows) {
  std::vector<fathom_expert> experts;
  for (size_t e = 0; e < data.gate.size(); ++e) {
    const auto gate = data.gate[e].on(chip);
    const auto up = data.up[e].on(chip);
    const auto down = data.down[e].on(chip);
    experts.push_back({gate.data, up.data, down.data, gate.scale, up.scale, down.scale});
  }
  const auto choices = [&](const auto& all) {
    return chip.upload(
        std::vector(all.begin() + first_row * kTopK, all.begin() + (first_row + rows) * kTopK));
  };
  fathom_moe_experts_args args = {};
  args.size = sizeof(args);
  args.x = chip.upload_matrix(rows_of_matrix(data.x, of.hidden, first_row, rows), rows, of.hidden);
  args.expert_ids = choices(data.ids);
  args.expert_weights = choices(data.weights);
  args.top_k = kTopK;
  args.accumulate = of.accumulates ? 1 : 0;
  args.first_expert = kFirst;
  args.num_experts = of.experts;
  args.experts = chip.upload(experts);
  args.gate = data.gate[0].format();
  args.up = data.up[0].format();
  args.down = data.down[0].format();
  args.out =
      chip.upload_matrix(rows_of_matrix(data.out, of.hidden, first_row, rows), rows, of.hidden);
  chip.run_with_workspace(FATHOM_OP_MOE_EXPERTS, args);
  return chip.download_matrix(args.out);
}

TEST(GpuMoeExperts, AgreeWithTheReference) {
  std::mt19937 random(32);
  for (const ExpertsCase& of : {ExpertsCase{1, 128, 64, 6, FATHOM_F8_E4M3, true},
                                ExpertsCase{40, 72, 40, 6, FATHOM_BF16, false},
                                ExpertsCase{60, 160, 48, 3, FATHOM_I8, true},
                                // Pairs for more than one turn of the sort.
                                ExpertsCase{200, 16, 16, 5, FATHOM_BF16, false}}) {
    const ExpertsData data(random, of);
    const auto wanted = experts_on(TestChip::reference(), of, data, 0, of.rows);
    for (const int warp : kWidths) {
      for (const std::string& order : lane_orders()) {
        SCOPED_TRACE(testing::Message()
                     << "warps of " << warp << ", order " << order << ", " << of.rows << " rows");
        // Hidden values, each expert's result and the sum are rounded to BF16; the first two move a
        // sum of three numbers of about 1 by some parts of 2^-9.
        expect_near(experts_on(TestChip::emulated(warp, order), of, data, 0, of.rows), wanted,
                    0x1p-8, 0x1p-7);
      }
    }
  }
}

TEST(GpuMoeExperts, TakeNoRowsAndNoExperts) {
  std::mt19937 random(34);
  const ExpertsCase of = {4, 32, 16, 3, FATHOM_I8, true};
  ExpertsData data(random, of);
  EXPECT_TRUE(experts_on(TestChip::emulated(32, "rising"), of, data, 0, 0).empty());
  // All of another rank: what was there stays.
  std::fill(data.ids.begin(), data.ids.end(), 0);
  EXPECT_EQ(experts_on(TestChip::emulated(64, "rising"), of, data, 0, of.rows), data.out);
}

TEST(GpuMoeExperts, ARowIsTheSameInAnyBatch) {
  std::mt19937 random(33);
  const ExpertsCase of = {40, 96, 40, 2, FATHOM_F8_E4M3, false};
  const ExpertsData data(random, of);
  for (const int warp : kWidths) {
    const auto all = experts_on(TestChip::emulated(warp, "2"), of, data, 0, of.rows);
    for (const int64_t row : {int64_t{0}, int64_t{39}}) {
      EXPECT_EQ(experts_on(TestChip::emulated(warp, "1"), of, data, row, 1),
                rows_of_matrix(all, of.hidden, row, 1))
          << "warps of " << warp << ", row " << row;
    }
  }
}

}  // namespace
}  // namespace fathom::gpu::test
