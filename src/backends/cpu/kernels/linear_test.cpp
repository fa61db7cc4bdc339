#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::Matrix;
using test::WeightData;

Matrix linear(const KernelSet& kernels, Matrix& x, const WeightData& weight, int threads = 1,
              int64_t gap = 0) {
  CpuDevice device(kernels, threads);
  Matrix out(x.rows(), weight.view().n, gap);
  const fathom_linear_args args = {sizeof(args), x.tensor(), weight.view(), out.tensor()};
  EXPECT_EQ(device.run(FATHOM_OP_LINEAR, &args), FATHOM_OK) << device.table().last_error();
  EXPECT_TRUE(out.gaps_are_whole());
  return out;
}

Matrix first_rows(const Matrix& x, int64_t rows, int64_t gap = 0) {
  Matrix result(rows, x.columns(), gap);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < x.columns(); ++c) result.at(r, c) = x.at(r, c);
  }
  return result;
}

// So many of x's first rows at once, by every kernel set. The reference on absolute values gives
// the sums that bound the rounding.
void expect_sets_match_reference(Matrix x, const WeightData& weight,
                                 const std::vector<int64_t>& row_counts, double rounding = 0) {
  const Matrix expected = linear(reference_kernels(), x, weight);
  Matrix magnitudes = x.absolute();
  const Matrix bound = linear(reference_kernels(), magnitudes, weight.absolute());
  for (const KernelSet* set : test::native_sets()) {
    for (const int64_t rows : row_counts) {
      SCOPED_TRACE(std::string(set->name) + ", rows " + std::to_string(rows));
      Matrix part = first_rows(x, rows, rows % 3);
      test::expect_near(linear(*set, part, weight, 2, rows % 5), first_rows(expected, rows),
                        first_rows(bound, rows), test::dot_bound(x.columns(), 1.0) + rounding);
    }
  }
}

class LinearSets : public test::AllSetsTest {};
class Linear : public test::NativeTest {};

// 4-bit weights have an even number of columns.
int64_t columns_for(fathom_dtype dtype, int64_t k) {
  return dtype == FATHOM_I4 ? (k + 1) / 2 * 2 : k;
}

constexpr fathom_dtype kFormats[] = {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4};

TEST_F(LinearSets, MatchTheReferenceForAnyNumberOfRows) {
  for (const auto dtype : kFormats) {
    SCOPED_TRACE("type " + std::to_string(dtype));
    const int64_t k = columns_for(dtype, 261);
    const auto weight = WeightData::random(random_, dtype, 150, k);
    expect_sets_match_reference(Matrix::random(random_, 70, k), weight,
                                {1, 2, 3, 4, 5, 7, 8, 9, 12, 33, 64, 65, 70});
  }
}

TEST_F(LinearSets, MatchTheReferenceForAnyShape) {
  for (const auto dtype : kFormats) {
    for (const int64_t n : {1, 3, 8, 49, 129}) {
      for (const int64_t length : {1, 7, 16, 128, 130, 513, 1100}) {
        const int64_t k = columns_for(dtype, length);
        SCOPED_TRACE("type " + std::to_string(dtype) + ", " + std::to_string(k) + " x " +
                     std::to_string(n));
        const auto weight = WeightData::random(random_, dtype, n, k);
        Matrix x = Matrix::random(random_, 11, k);
        if (dtype == FATHOM_F8_E4M3) x = x.in_bf16();
        expect_sets_match_reference(std::move(x), weight, {1, 11});
      }
    }
  }
}

// Sets that multiply bf16 take rows as sums of two such numbers for FP8 weights in whole blocks: of
// rows that are in bf16 already only the products' own rounding shows.
TEST_F(LinearSets, MatchTheReferenceInWholeBlocksOfFp8) {
  for (const int32_t block : {64, 128, 192, 512, 1024}) {
    for (const int64_t k : {64, 128, 448, 1280}) {
      for (const int64_t n : {1, 8, 53}) {
        SCOPED_TRACE("block " + std::to_string(block) + ", " + std::to_string(k) + " x " +
                     std::to_string(n));
        const auto weight = WeightData::random(random_, FATHOM_F8_E4M3, n, k, 16, block);
        expect_sets_match_reference(Matrix::random(random_, 70, k).in_bf16(), weight,
                                    {1, 2, 3, 4, 6, 9, 20, 70});
      }
    }
  }
}

TEST_F(LinearSets, SixteenBitsOfARowCountAtLeast) {
  const auto weight = WeightData::random(random_, FATHOM_F8_E4M3, 70, 512);
  expect_sets_match_reference(Matrix::random(random_, 20, 512), weight, {1, 20}, 0x1p-17);
}

TEST_F(LinearSets, TakeScaleBlocksThatDoNotLineUpWithVectors) {
  for (const int32_t block : {1, 5, 12, 48, 128, 1000}) {
    SCOPED_TRACE("block " + std::to_string(block));
    const auto weight = WeightData::random(random_, FATHOM_F8_E4M3, 53, 203, block, block);
    expect_sets_match_reference(Matrix::random(random_, 20, 203), weight, {1, 20});
  }
}

TEST_F(LinearSets, TakeGroupsOfIntegersThatDoNotLineUpWithVectors) {
  for (const int32_t block : {1, 5, 12, 32, 48, 96, 1000}) {
    for (const auto dtype : {FATHOM_I8, FATHOM_I4}) {
      if (dtype == FATHOM_I4 && block % 32 != 0) continue;
      SCOPED_TRACE("type " + std::to_string(dtype) + ", group " + std::to_string(block));
      const auto weight = WeightData::random(random_, dtype, 53, 202, 1, block);
      expect_sets_match_reference(Matrix::random(random_, 20, 202), weight, {1, 20});
    }
  }
}

// Against a unit vector, out is the weight: one code a row, at any place in a vector.
void expect_every_code(const KernelSet& kernels, WeightData weight, int64_t rows, int64_t column) {
  const int64_t k = weight.view().k;
  weight.scales()[0] = 3.0f;
  for (int64_t code = 0; code < 256; ++code) {
    weight.bytes()[code * k + column] = static_cast<uint8_t>(code);
  }
  Matrix x(rows, k);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < k; ++c) x.at(r, c) = c == column ? 1.0f : 0.0f;
  }
  const Matrix out = linear(kernels, x, weight);
  for (int64_t code = 0; code < 256; ++code) {
    const auto expected = static_cast<float>(weight.value(code, column));
    for (int64_t r = 0; r < rows; ++r) {
      if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(out.at(r, code))) << code;
      } else {
        EXPECT_EQ(out.at(r, code), expected) << code;
      }
    }
  }
}

TEST_P(Linear, ReadsEveryFp8CodeExactly) {
  for (const int64_t rows : {1, 20}) {
    for (const int64_t column : {0, 5, 18}) {
      expect_every_code(kernels(), WeightData::random(random_, FATHOM_F8_E4M3, 256, 19, 1000, 1000),
                        rows, column);
    }
    for (const int64_t column : {0, 7, 8, 31, 50, 63, 127}) {
      expect_every_code(kernels(), WeightData::random(random_, FATHOM_F8_E4M3, 256, 128, 256, 128),
                        rows, column);
    }
  }
}

TEST_P(Linear, NanInOneWeightReachesItsOutputOnly) {
  auto weight = WeightData::random(random_, FATHOM_F8_E4M3, 40, 64);
  weight.bytes()[17 * 64 + 3] = 0xff;
  for (const int64_t rows : {1, 30}) {
    Matrix x = Matrix::random(random_, rows, 64);
    const Matrix out = linear(kernels(), x, weight);
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t j = 0; j < 40; ++j) EXPECT_EQ(std::isnan(out.at(r, j)), j == 17) << j;
    }
  }
}

TEST_P(Linear, ARowHasTheSameBitsInAnyBatchAndWithAnyThreads) {
  // More outputs and columns than three panels' and two panels' (native/gemm.h).
  constexpr int64_t kOutputs = 149;
  std::vector<std::pair<fathom_dtype, int64_t>> cases = {{FATHOM_F8_E4M3, 1152}};
  for (const auto dtype : kFormats) cases.emplace_back(dtype, 1100);
  for (const auto& [dtype, k] : cases) {
    const auto weight = WeightData::random(random_, dtype, kOutputs, k);
    Matrix x = Matrix::random(random_, 70, k);
    Matrix single(70, kOutputs);
    CpuDevice device(kernels());
    for (int64_t r = 0; r < 70; ++r) {
      const fathom_linear_args args = {sizeof(args), x.rows_tensor(r, 1), weight.view(),
                                       single.rows_tensor(r, 1)};
      ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &args), FATHOM_OK);
    }
    EXPECT_TRUE(linear(kernels(), x, weight, 1).same_bits(single)) << dtype;
    EXPECT_TRUE(linear(kernels(), x, weight, 2).same_bits(single)) << dtype;
    EXPECT_TRUE(linear(kernels(), x, weight, 3).same_bits(single)) << dtype;
    for (const int64_t rows : {2, 3, 4, 6, 9, 37}) {
      Matrix out(rows, kOutputs);
      const fathom_linear_args args = {sizeof(args), x.rows_tensor(5, rows), weight.view(),
                                       out.tensor()};
      ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &args), FATHOM_OK);
      Matrix expected(rows, kOutputs);
      for (int64_t r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < kOutputs; ++j) expected.at(r, j) = single.at(5 + r, j);
      }
      EXPECT_TRUE(out.same_bits(expected)) << dtype << ", rows " << rows;
    }
  }
}

TEST_P(Linear, ZeroRowsAreFine) {
  const auto weight = WeightData::random(random_, FATHOM_BF16, 20, 30);
  Matrix x(0, 30);
  EXPECT_EQ(linear(kernels(), x, weight).rows(), 0);
}

FATHOM_NATIVE_SUITE(Linear);

TEST(LinearReference, MultipliesByHand) {
  // [1 2; 0 -1] times rows (3, 4, 5) and (1, 0, -2), (0.5, 2, 1).
  const float rows[] = {3, 4, 5, 1, 0, -2, 0.5f, 2, 1};
  Matrix x(2, 3);
  for (int64_t i = 0; i < 6; ++i) x.at(i / 3, i % 3) = static_cast<float>(i + 1);
  CpuDevice device(reference_kernels());
  Matrix out(2, 3);
  fathom_weight weight = {rows, nullptr, FATHOM_F32, 0, 0, 0, 3, 3};
  const fathom_linear_args args = {sizeof(args), x.tensor(), weight, out.tensor()};
  ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &args), FATHOM_OK);
  EXPECT_EQ(out.at(0, 0), 1 * 3 + 2 * 4 + 3 * 5);
  EXPECT_EQ(out.at(0, 1), 1 * 1 + 3 * -2);
  EXPECT_EQ(out.at(0, 2), 1 * 0.5f + 2 * 2 + 3 * 1);
  EXPECT_EQ(out.at(1, 0), 4 * 3 + 5 * 4 + 6 * 5);
  EXPECT_EQ(out.at(1, 1), 4 * 1 + 6 * -2);
  EXPECT_EQ(out.at(1, 2), 4 * 0.5f + 5 * 2 + 6 * 1);
}

TEST(LinearReference, ReadsIntegersWithTheirGroupsScales) {
  const int8_t bytes[] = {-127, 5, 100, 3, 0, 127};
  const float byte_scales[] = {2, 0.5f, 3, 7};  // [2, ceil(3 / 2)]
  const fathom_weight i8 = {bytes, byte_scales, FATHOM_I8, 1, 2, FATHOM_LAYOUT_ROWS, 2, 3};
  const uint8_t pairs[] = {0xf0, 0x3a};  // -8, 7, 2, -5
  const float pair_scales[] = {0.25f};
  const fathom_weight i4 = {pairs, pair_scales, FATHOM_I4, 1, 32, FATHOM_LAYOUT_ROWS, 1, 4};
  Matrix x(1, 4);
  for (int64_t i = 0; i < 4; ++i) x.at(0, i) = static_cast<float>(i + 1);
  CpuDevice device(reference_kernels());
  Matrix out(1, 3);
  fathom_tensor three = x.tensor(), two = out.tensor(), one = out.tensor();
  three.shape[1] = 3;
  two.shape[1] = 2;
  one.shape[1] = 1;
  const fathom_linear_args by_8 = {sizeof(by_8), three, i8, two};
  ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &by_8), FATHOM_OK) << device.table().last_error();
  EXPECT_EQ(out.at(0, 0), -127 * 2 + 2 * 5 * 2 + 3 * 100 * 0.5f);
  EXPECT_EQ(out.at(0, 1), 3 * 3 + 3 * 127 * 7);
  const fathom_linear_args by_4 = {sizeof(by_4), x.tensor(), i4, one};
  ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &by_4), FATHOM_OK) << device.table().last_error();
  EXPECT_EQ(out.at(0, 0), (-8 + 2 * 7 + 3 * 2 + 4 * -5) * 0.25f);
}

TEST(LinearReference, ReadsFp8WithItsBlocksScales) {
  // 1.0, 448, the smallest number, -1.75 in a 3 x 3 weight with 2 x 2 blocks.
  const uint8_t codes[] = {0x38, 0x7e, 0x38, 0x01, 0x38, 0xbe, 0x38, 0x38, 0x38};
  const float scales[] = {2, 3, 5, 7};
  const fathom_weight weight = {codes, scales, FATHOM_F8_E4M3, 2, 2, 0, 3, 3};
  Matrix x(1, 3);
  x.at(0, 0) = 1;
  x.at(0, 1) = 10;
  x.at(0, 2) = 100;
  CpuDevice device(reference_kernels());
  Matrix out(1, 3);
  const fathom_linear_args args = {sizeof(args), x.tensor(), weight, out.tensor()};
  ASSERT_EQ(device.run(FATHOM_OP_LINEAR, &args), FATHOM_OK);
  EXPECT_EQ(out.at(0, 0), 1 * 2 + 10 * 448 * 2 + 100 * 3);
  EXPECT_FLOAT_EQ(out.at(0, 1), 0x1p-9f * 2 + 10 * 2 + 100 * -1.75f * 3);
  EXPECT_EQ(out.at(0, 2), 1 * 5 + 10 * 5 + 100 * 7);
}

}  // namespace
}  // namespace fathom::cpu
