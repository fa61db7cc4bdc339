// LINEAR with packed weights against its formula in float64. What they may differ by: x is rounded
// to int8, half a step of its group's largest magnitude / 127 for each value.
#include <cmath>
#include <limits>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;
using test::PackedWeight;
using test::WeightData;

fathom_status multiply(CpuDevice& device, const fathom_weight& weight, const fathom_tensor& x,
                       const fathom_tensor& out) {
  const fathom_linear_args args = {sizeof(args), x, weight, out};
  return device.run(FATHOM_OP_LINEAR, &args);
}

Matrix linear_packed(const KernelSet& kernels, Matrix& x, const WeightData& weight, int threads = 1,
                     int64_t gap = 0) {
  CpuDevice device(kernels, threads);
  const PackedWeight packed(device, FATHOM_OP_LINEAR, weight.view());
  Matrix out(x.rows(), weight.view().n, gap);
  EXPECT_EQ(multiply(device, packed.view(), x.tensor(), out.tensor()), FATHOM_OK)
      << device.table().last_error();
  EXPECT_TRUE(out.gaps_are_whole());
  return out;
}

void expect_matches_formula(const KernelSet& kernels, Matrix& x, const WeightData& weight,
                            int64_t out_gap = 0) {
  const Matrix got = linear_packed(kernels, x, weight, 2, out_gap);
  const int64_t group = weight.view().block_k;
  const int64_t groups = (x.columns() + group - 1) / group;
  std::vector<double> w(static_cast<size_t>(x.columns()));
  for (int64_t j = 0; j < got.columns(); ++j) {
    for (int64_t i = 0; i < x.columns(); ++i) w[static_cast<size_t>(i)] = weight.value(j, i);
    for (int64_t r = 0; r < x.rows(); ++r) {
      double expected = 0, magnitude = 0, rounding = 0;
      for (int64_t begin = 0; begin < x.columns(); begin += group) {
        double largest = 0, weights = 0;
        for (int64_t i = begin; i < std::min(x.columns(), begin + group); ++i) {
          const double product = w[static_cast<size_t>(i)] * x.at(r, i);
          expected += product;
          magnitude += std::abs(product);
          largest = std::max(largest, double{std::abs(x.at(r, i))});
          weights += std::abs(w[static_cast<size_t>(i)]);
        }
        rounding += weights * (largest / 254 * 1.0001 + 0x1p-118);
      }
      const double sums = static_cast<double>(groups + 4) * test::kRounding;
      ASSERT_NEAR(got.at(r, j), expected, rounding + sums * (magnitude + rounding) + 1e-44)
          << "at [" << r << ", " << j << "]";
    }
  }
}

class LinearPacked : public test::NativeTest {};

struct Format {
  fathom_dtype dtype;
  int32_t group;
};
constexpr Format kLinearFormats[] = {{FATHOM_I8, 128}, {FATHOM_I4, 32}};

TEST_P(LinearPacked, MatchesTheFormulaForAnyNumberOfRows) {
  for (const auto [dtype, group] : kLinearFormats) {
    const auto weight = WeightData::random(random_, dtype, 70, 390, 1, group);
    for (const int64_t rows : {1, 2, 3, 4, 5, 7, 8, 9, 16, 33, 64, 65, 130}) {
      SCOPED_TRACE("type " + std::to_string(dtype) + ", rows " + std::to_string(rows));
      Matrix x = Matrix::random(random_, rows, 390, rows % 3);
      expect_matches_formula(kernels(), x, weight, rows % 5);
    }
  }
}

TEST_P(LinearPacked, MatchesTheFormulaForAnyShapeAndGroup) {
  for (const auto [dtype, group] : {Format{FATHOM_I8, 1},
                                    {FATHOM_I8, 5},
                                    {FATHOM_I8, 32},
                                    {FATHOM_I8, 128},
                                    {FATHOM_I8, 1000},
                                    {FATHOM_I4, 32},
                                    {FATHOM_I4, 64},
                                    {FATHOM_I4, 96},
                                    {FATHOM_I4, 1024}}) {
    for (const int64_t n : {1, 31, 32, 33, 65}) {
      for (const int64_t k : {2, 30, 64, 130, 517}) {
        const int64_t columns = dtype == FATHOM_I4 ? k / 2 * 2 : k;
        const auto weight = WeightData::random(random_, dtype, n, columns, 1, group);
        for (const int64_t rows : {1, 6}) {
          SCOPED_TRACE("type " + std::to_string(dtype) + ", group " + std::to_string(group) + ", " +
                       std::to_string(rows) + " x " + std::to_string(columns) + " x " +
                       std::to_string(n));
          Matrix x = Matrix::random(random_, rows, columns);
          expect_matches_formula(kernels(), x, weight);
        }
      }
    }
  }
}

TEST_P(LinearPacked, TheLargestProductsStayExact) {
  for (const auto [dtype, group] : {Format{FATHOM_I8, 128}, {FATHOM_I8, 8192}, {FATHOM_I4, 32}}) {
    auto weight = WeightData::random(random_, dtype, 33, 256, 1, group);
    for (float& scale : weight.scales()) scale = 1;
    for (const float sign : {1.0f, -1.0f}) {
      // I8: 127 and -127 in turns of rows; I4: 7 and -8.
      const int64_t row_bytes = dtype == FATHOM_I8 ? 256 : 128;
      for (int64_t i = 0; i < 33 * row_bytes; ++i) {
        const bool high = i / row_bytes % 2 == 0;
        weight.bytes()[i] =
            static_cast<uint8_t>(dtype == FATHOM_I8 ? (high ? 127 : -127) : (high ? 0xff : 0x00));
      }
      for (const int64_t rows : {1, 13}) {
        Matrix x(rows, 256);
        for (int64_t i = 0; i < rows * 256; ++i) x.at(i / 256, i % 256) = sign * 127;
        const Matrix out = linear_packed(kernels(), x, weight);
        for (int64_t j = 0; j < 33; ++j) {
          for (int64_t r = 0; r < rows; ++r) {
            ASSERT_EQ(out.at(r, j), sign * 127 * 256 * static_cast<float>(weight.value(j, 0)));
          }
        }
      }
    }
  }
}

TEST_P(LinearPacked, RowsThatDoNotFitTheScratchGoThroughInParts) {
  const auto weight = WeightData::random(random_, FATHOM_I8, 2, 40000, 1, 1);
  Matrix x = Matrix::random(random_, 30, 40000);
  expect_matches_formula(kernels(), x, weight);
}

TEST_P(LinearPacked, ZerosHugeAndTinyValues) {
  for (const auto [dtype, group] : kLinearFormats) {
    const auto weight = WeightData::random(random_, dtype, 40, 256, 1, group);
    Matrix x = Matrix::random(random_, 9, 256);
    for (int64_t i = 0; i < 256; ++i) {
      x.at(0, i) = 0;
      x.at(1, i) *= 1e-38f;
      x.at(2, i) *= 1e-44f;
      x.at(3, i) *= 1e-36f;
      x.at(4, i) *= 1e34f;
      x.at(5, i) = i == 77 ? 1e36f : x.at(5, i);
      x.at(6, i) = i < 128 ? 0 : x.at(6, i);
      x.at(7, i) = i % 2 == 0 ? -0.0f : 1e-30f;
    }
    expect_matches_formula(kernels(), x, weight);
  }
}

TEST_P(LinearPacked, NanAndInfinityMakeTheirRowNanAndNoOther) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const auto [dtype, group] : kLinearFormats) {
    const auto weight = WeightData::random(random_, dtype, 40, 300, 1, group);
    Matrix x = Matrix::random(random_, 12, 300);
    const Matrix clean = linear_packed(kernels(), x, weight);
    x.at(1, 299) = std::nanf("");
    x.at(5, 0) = kInfinity;
    x.at(6, 130) = -kInfinity;
    const Matrix out = linear_packed(kernels(), x, weight);
    for (int64_t r = 0; r < 12; ++r) {
      for (int64_t j = 0; j < 40; ++j) {
        if (r == 1 || r == 5 || r == 6) {
          ASSERT_TRUE(std::isnan(out.at(r, j))) << r;
        } else {
          ASSERT_EQ(out.at(r, j), clean.at(r, j)) << r;
        }
      }
    }
  }
}

TEST_P(LinearPacked, ARowHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  for (const auto [dtype, group] : kLinearFormats) {
    const auto weight = WeightData::random(random_, dtype, 301, 1300, 1, group);
    Matrix x = Matrix::random(random_, 70, 1300);
    Matrix single(70, 301);
    CpuDevice device(kernels());
    const PackedWeight packed(device, FATHOM_OP_LINEAR, weight.view());
    for (int64_t r = 0; r < 70; ++r) {
      ASSERT_EQ(multiply(device, packed.view(), x.rows_tensor(r, 1), single.rows_tensor(r, 1)),
                FATHOM_OK);
    }
    for (const int threads : {1, 2, 3}) {
      EXPECT_TRUE(linear_packed(kernels(), x, weight, threads).same_bits(single)) << dtype;
    }
    for (const int64_t rows : {2, 3, 4, 6, 9, 15, 37}) {
      Matrix out(rows, 301);
      ASSERT_EQ(multiply(device, packed.view(), x.rows_tensor(5, rows), out.tensor()), FATHOM_OK);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < 301; ++j) ASSERT_EQ(out.at(r, j), single.at(5 + r, j));
      }
    }
  }
}

TEST_P(LinearPacked, ZeroRowsAreFine) {
  const auto weight = WeightData::random(random_, FATHOM_I8, 20, 30);
  Matrix x(0, 30);
  EXPECT_EQ(linear_packed(kernels(), x, weight).rows(), 0);
}

FATHOM_NATIVE_SUITE(LinearPacked);

// Integers are exact and their sums are added alike, so kernel sets can only differ by whether the
// processor rounds a product before it adds.
TEST(LinearPackedSets, AgreeBitForBitWhereTheyFuse) {
  std::mt19937 random(13);
  for (const auto [dtype, group] : kLinearFormats) {
    const auto weight = WeightData::random(random, dtype, 64, 640, 1, group);
    Matrix x = Matrix::random(random, 11, 640);
    const auto sets = test::native_sets();
    const Matrix expected = linear_packed(*sets.back(), x, weight);
    for (const KernelSet* set : sets) {
      if (std::string(set->name) == "portable") continue;
      EXPECT_TRUE(linear_packed(*set, x, weight).same_bits(expected)) << set->name;
    }
  }
}

}  // namespace
}  // namespace fathom::cpu
