// Linear layers on the emulated chip against the CPU's reference kernel.
#include <gtest/gtest.h>

#include <algorithm>

#include "backends/gpu/kernels/testing/chips.h"
#include "backends/gpu/kernels/testing/weights.h"

namespace fathom::gpu::test {
namespace {

// Sums of numbers of about 1, rounded to F32 some times on their way and to BF16 at the end.
constexpr double kSumRounding = 0x1p-18;
constexpr double kBf16Rounding = 0x1p-8;

struct LinearCase {
  int64_t rows, n, k;
  int64_t gap;  // between rows of x and out
};

std::vector<float> linear_on(TestChip chip, const LinearCase& of, const std::vector<float>& x,
                             const TestWeight& weight, bool wide_out) {
  fathom_linear_args args = {};
  args.size = sizeof(args);
  args.x = chip.upload_matrix(x, of.rows, of.k, of.k + of.gap);
  args.weight = weight.on(chip);
  args.out =
      wide_out ? chip.alloc_f32(of.rows, of.n) : chip.alloc_matrix(of.rows, of.n, of.n + of.gap);
  chip.run(FATHOM_OP_LINEAR, &args);
  return chip.download_matrix(args.out);
}

TEST(GpuLinear, AgreesWithTheReference) {
  std::mt19937 random(11);
  for (const LinearCase& of :
       {LinearCase{1, 100, 256, 0}, LinearCase{17, 64, 192, 8}, LinearCase{70, 130, 300, 0},
        LinearCase{3, 20, 37, 2}, LinearCase{2, 65, 208, 0}}) {
    for (const int32_t format : kFormats) {
      const auto x = random_bf16(random, of.rows * of.k);
      const TestWeight weight(random, format, of.n, of.k);
      const auto wanted = linear_on(TestChip::reference(), of, x, weight, true);
      for (const int warp : kWidths) {
        for (const std::string& order : lane_orders()) {
          SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order
                                          << ", format " << format << ", k " << of.k);
          expect_near(linear_on(TestChip::emulated(warp, order), of, x, weight, true), wanted, 0,
                      kSumRounding);
          expect_near(linear_on(TestChip::emulated(warp, order), of, x, weight, false), wanted,
                      kBf16Rounding, kSumRounding);
        }
      }
    }
  }
}

TEST(GpuLinear, ARowIsTheSameInAnyBatch) {
  std::mt19937 random(12);
  const LinearCase all = {70, 66, 320, 0};
  for (const int32_t format : kFormats) {
    const auto x = random_bf16(random, all.rows * all.k);
    const TestWeight weight(random, format, all.n, all.k);
    for (const int warp : kWidths) {
      const auto got = linear_on(TestChip::emulated(warp, "rising"), all, x, weight, true);
      for (const int64_t row : {int64_t{0}, int64_t{15}, int64_t{69}}) {
        const LinearCase one = {1, all.n, all.k, 0};
        EXPECT_EQ(linear_on(TestChip::emulated(warp, "falling"), one,
                            rows_of_matrix(x, all.k, row, 1), weight, true),
                  rows_of_matrix(got, all.n, row, 1))
            << "warps of " << warp << ", row " << row;
      }
    }
  }
}

TEST(GpuLinear, TakesManyRows) {
  if (lane_orders().size() == 1) GTEST_SKIP() << "FATHOM_LONG=1 runs it";
  std::mt19937 random(14);
  const LinearCase of = {4095, 40, 144, 0};
  const auto x = random_bf16(random, of.rows * of.k);
  const TestWeight weight(random, FATHOM_F8_E4M3, of.n, of.k);
  const auto wanted = linear_on(TestChip::reference(), of, x, weight, true);
  for (const int warp : kWidths) {
    expect_near(linear_on(TestChip::emulated(warp, "1"), of, x, weight, true), wanted, 0,
                kSumRounding);
  }
}

TEST(GpuLinear, TakesNoRows) {
  std::mt19937 random(13);
  const TestWeight weight(random, FATHOM_BF16, 64, 64);
  EXPECT_TRUE(
      linear_on(TestChip::emulated(32, "rising"), {0, 64, 64, 0}, {}, weight, true).empty());
}

}  // namespace
}  // namespace fathom::gpu::test
