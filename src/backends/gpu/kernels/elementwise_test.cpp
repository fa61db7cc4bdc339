// silu_mul, add, embed, take_tokens and logits_stats on the emulated chip against the CPU's
// reference kernels.
#include <gtest/gtest.h>

#include "backends/gpu/kernels/testing/chips.h"
#include "backends/gpu/kernels/testing/weights.h"

namespace fathom::gpu::test {
namespace {

constexpr double kBf16Rounding = 0x1p-8;

// call(chip) on every width and order; expected is what it gives on the CPU.
template <typename Call>
void expect_as_reference(Call call, double relative, double absolute) {
  const auto wanted = call(TestChip::reference());
  for (const int warp : kWidths) {
    for (const std::string& order : lane_orders()) {
      SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order);
      expect_near(call(TestChip::emulated(warp, order)), wanted, relative, absolute);
    }
  }
}

TEST(GpuSiluMul, AgreesWithTheReference) {
  std::mt19937 random(21);
  for (const int64_t columns : {int64_t{2048}, int64_t{39}}) {
    const auto gate = random_bf16(random, 3 * columns, 3);
    const auto up = random_bf16(random, 3 * columns);
    expect_as_reference(
        [&](TestChip chip) {
          fathom_silu_mul_args args = {};
          args.size = sizeof(args);
          args.gate = chip.upload_matrix(gate, 3, columns, columns + 8);
          args.up = chip.upload_matrix(up, 3, columns);
          args.out = args.gate;
          chip.run(FATHOM_OP_SILU_MUL, &args);
          return chip.download_matrix(args.out);
        },
        kBf16Rounding, 1e-6);
  }
}

TEST(GpuAdd, AgreesWithTheReference) {
  std::mt19937 random(22);
  for (const int64_t columns : {int64_t{1024}, int64_t{41}}) {
    const auto x = random_bf16(random, 4 * columns);
    const auto y = random_bf16(random, 4 * columns);
    expect_as_reference(
        [&](TestChip chip) {
          fathom_add_args args = {};
          args.size = sizeof(args);
          args.x = chip.upload_matrix(x, 4, columns);
          args.y = chip.upload_matrix(y, 4, columns);
          chip.run(FATHOM_OP_ADD, &args);
          return chip.download_matrix(args.x);
        },
        kBf16Rounding, 0);
  }
}

TEST(GpuEmbed, AgreesWithTheReference) {
  std::mt19937 random(23);
  for (const int32_t format : kFormats) {
    const TestWeight table(random, format, 50, 200);
    expect_as_reference(
        [&](TestChip chip) {
          fathom_embed_args args = {};
          args.size = sizeof(args);
          args.tokens = chip.upload(std::vector<int32_t>{49, 0, -1, 7});
          args.num_tokens = 4;
          args.table = table.on(chip);
          args.out = chip.alloc_matrix(4, 200);
          chip.run(FATHOM_OP_EMBED, &args);
          return chip.download_matrix(args.out);
        },
        kBf16Rounding, 0);
  }
}

TEST(GpuTakeTokens, TakesThoseOfTheStepBefore) {
  for (const int warp : kWidths) {
    TestChip chip = TestChip::emulated(warp, "1");
    fathom_take_tokens_args args = {};
    args.size = sizeof(args);
    args.tokens = chip.upload(std::vector<int32_t>{5, -2, -1, -4, 0, -3});
    args.num_tokens = 6;
    args.drawn = chip.upload(std::vector<int32_t>{70, -1, 72});
    args.max_drawn = 3;
    chip.run(FATHOM_OP_TAKE_TOKENS, &args);
    EXPECT_EQ(chip.download<int32_t>(args.tokens, 6), (std::vector<int32_t>{5, 70, -1, 72, 0, -1}));
  }
}

TEST(GpuLogitsStats, AgreesWithTheReference) {
  std::mt19937 random(24);
  auto logits = random_bf16(random, 3 * 1280, 4);
  logits[1280 + 700] = logits[1280 + 90] = 40;  // the lower of equals
  expect_as_reference(
      [&](TestChip chip) {
        fathom_logits_stats_args args = {};
        args.size = sizeof(args);
        args.logits = device::matrix(chip.upload(logits), FATHOM_F32, 3, 1280);
        args.max_value = static_cast<float*>(chip.alloc(3 * sizeof(float)));
        args.max_index = static_cast<int32_t*>(chip.alloc(3 * sizeof(int32_t)));
        args.log_sum_exp = static_cast<float*>(chip.alloc(3 * sizeof(float)));
        chip.run(FATHOM_OP_LOGITS_STATS, &args);
        auto all = chip.download<float>(args.max_value, 3);
        for (const int32_t index : chip.download<int32_t>(args.max_index, 3)) {
          all.push_back(static_cast<float>(index));
        }
        for (const float sum : chip.download<float>(args.log_sum_exp, 3)) all.push_back(sum);
        return all;
      },
      0x1p-20, 0);
}

}  // namespace
}  // namespace fathom::gpu::test
