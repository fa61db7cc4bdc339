// The norm on the emulated chip against the CPU's reference kernel.
#include <gtest/gtest.h>

#include "backends/gpu/kernels/testing/chips.h"

namespace fathom::gpu::test {
namespace {

constexpr float kEps = 1e-6f;
constexpr double kBf16Rounding = 0x1p-8;  // relative, of one rounding

struct NormCase {
  int64_t rows;
  int64_t columns;
  int64_t gap;  // between rows
  bool adds;
};

struct Normed {
  std::vector<float> out;
  std::vector<float> residual;
};

Normed norm_on(TestChip chip, const NormCase& norm_case, const std::vector<float>& x,
               const std::vector<float>& residual, const std::vector<float>& weight) {
  const int64_t rows = norm_case.rows;
  const int64_t columns = norm_case.columns;
  const int64_t stride = columns + norm_case.gap;
  fathom_rms_norm_args args = {};
  args.size = sizeof(args);
  args.x = chip.upload_matrix(x, rows, columns, stride);
  args.residual = norm_case.adds ? chip.upload_matrix(residual, rows, columns) : device::none();
  args.weight = chip.upload(weight);
  args.eps = kEps;
  args.out = chip.alloc_matrix(rows, columns, stride);
  chip.run(FATHOM_OP_RMS_NORM, &args);
  return {chip.download_matrix(args.out),
          norm_case.adds ? chip.download_matrix(args.residual) : std::vector<float>()};
}

TEST(GpuRmsNorm, AgreesWithTheReference) {
  for (const NormCase& norm_case : {NormCase{1, 7168, 0, true}, NormCase{5, 192, 0, false},
                                    NormCase{3, 1000, 24, true}, NormCase{4, 37, 2, false}}) {
    std::mt19937 random(7);
    const int64_t count = norm_case.rows * norm_case.columns;
    const auto x = random_bf16(random, count);
    const auto residual = random_bf16(random, count);
    const auto weight = random_bf16(random, norm_case.columns);
    const auto wanted = norm_on(TestChip::reference(), norm_case, x, residual, weight);
    for (const int warp : kWidths) {
      for (const std::string& order : lane_orders()) {
        SCOPED_TRACE(testing::Message() << "warps of " << warp << ", order " << order << ", "
                                        << norm_case.columns << " columns");
        const auto got = norm_on(TestChip::emulated(warp, order), norm_case, x, residual, weight);
        expect_near(got.residual, wanted.residual, kBf16Rounding, 0);
        // The sum is rounded before it is normed, and the result once more.
        expect_near(got.out, wanted.out, 3 * kBf16Rounding, 0x1p-10);
      }
    }
  }
}

TEST(GpuRmsNorm, ARowIsTheSameInAnyBatch) {
  std::mt19937 random(8);
  constexpr int64_t kRows = 6;
  constexpr int64_t kColumns = 520;
  const auto x = random_bf16(random, kRows * kColumns);
  const auto weight = random_bf16(random, kColumns);
  for (const int warp : kWidths) {
    const auto all =
        norm_on(TestChip::emulated(warp, "rising"), {kRows, kColumns, 0, false}, x, {}, weight).out;
    const std::vector<float> last(x.end() - kColumns, x.end());
    const auto alone =
        norm_on(TestChip::emulated(warp, "falling"), {1, kColumns, 0, false}, last, {}, weight).out;
    EXPECT_EQ(alone, std::vector<float>(all.end() - kColumns, all.end())) << warp;
  }
}

}  // namespace
}  // namespace fathom::gpu::test
