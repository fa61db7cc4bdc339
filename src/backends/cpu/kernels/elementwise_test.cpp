// embed, rms_norm, silu_mul, add, logits_stats: the operators that work on each row alone.
#include <cmath>
#include <limits>

#include "backends/cpu/kernel_sets.h"
#include "backends/cpu/testing/kernel_fixtures.h"

namespace fathom::cpu {
namespace {

using test::CpuDevice;
using test::kRounding;
using test::Matrix;
using test::WeightData;

constexpr int64_t kColumns[] = {1, 5, 8, 16, 31, 64, 129, 1000};

class Elementwise : public test::NativeTest {};

TEST_P(Elementwise, EmbedReadsRowsOfEveryFormat) {
  for (const auto dtype : {FATHOM_F32, FATHOM_BF16, FATHOM_F8_E4M3, FATHOM_I8, FATHOM_I4}) {
    for (const int64_t columns : kColumns) {
      if (dtype == FATHOM_I4 && columns % 2 != 0) continue;
      const auto table = WeightData::random(random_, dtype, 140, columns);
      const int32_t tokens[] = {0, 139, 3, -1, 128};
      Matrix out(5, columns, 3);
      const fathom_embed_args args = {sizeof(args), tokens, 5, table.view(), out.tensor()};
      CpuDevice device(kernels(), 2);
      ASSERT_EQ(device.run(FATHOM_OP_EMBED, &args), FATHOM_OK);
      EXPECT_TRUE(out.gaps_are_whole());
      for (int64_t t = 0; t < 5; ++t) {
        for (int64_t i = 0; i < columns; ++i) {
          const double expected = tokens[t] < 0 ? 0.0 : table.value(tokens[t], i);
          ASSERT_EQ(out.at(t, i), static_cast<float>(expected));
        }
      }
    }
  }
}

TEST_P(Elementwise, AddRoundsOnce) {
  for (const int64_t columns : kColumns) {
    Matrix x = Matrix::random(random_, 17, columns, 2);
    Matrix y = Matrix::random(random_, 17, columns, 1);
    const Matrix before = x;
    const fathom_add_args args = {sizeof(args), x.tensor(), y.tensor()};
    CpuDevice device(kernels(), 2);
    ASSERT_EQ(device.run(FATHOM_OP_ADD, &args), FATHOM_OK);
    EXPECT_TRUE(x.gaps_are_whole());
    for (int64_t t = 0; t < 17; ++t) {
      for (int64_t i = 0; i < columns; ++i) ASSERT_EQ(x.at(t, i), before.at(t, i) + y.at(t, i));
    }
  }
}

TEST_P(Elementwise, SiluMulIsExactToAFewRoundings) {
  for (const int64_t columns : kColumns) {
    Matrix gate = Matrix::random(random_, 9, columns, 1, 20.0f);
    Matrix up = Matrix::random(random_, 9, columns);
    Matrix out(9, columns, 4);
    const fathom_silu_mul_args args = {sizeof(args), gate.tensor(), up.tensor(), out.tensor()};
    CpuDevice device(kernels(), 2);
    ASSERT_EQ(device.run(FATHOM_OP_SILU_MUL, &args), FATHOM_OK);
    EXPECT_TRUE(out.gaps_are_whole());
    for (int64_t t = 0; t < 9; ++t) {
      for (int64_t i = 0; i < columns; ++i) {
        const double v = gate.at(t, i);
        const double expected = v / (1 + std::exp(-v)) * up.at(t, i);
        // The exponential is good to about two roundings, four operations follow.
        ASSERT_NEAR(out.at(t, i), expected, std::abs(expected) * 8 * kRounding + 1e-34) << v;
      }
    }
  }
}

TEST_P(Elementwise, SiluMulAtTheEndsOfTheRange) {
  const float values[] = {
      -std::numeric_limits<float>::infinity(), -1000, -104, -88.5f, -87, 0, 87, 88.5f, 104, 1000,
      std::numeric_limits<float>::quiet_NaN()};
  constexpr int64_t kCount = std::size(values);
  Matrix gate(1, kCount), up(1, kCount), out(1, kCount);
  for (int64_t i = 0; i < kCount; ++i) {
    gate.at(0, i) = values[i];
    up.at(0, i) = 1;
  }
  const fathom_silu_mul_args args = {sizeof(args), gate.tensor(), up.tensor(), out.tensor()};
  CpuDevice device(kernels());
  ASSERT_EQ(device.run(FATHOM_OP_SILU_MUL, &args), FATHOM_OK);
  for (int64_t i = 1; i < kCount - 1; ++i) {
    const double v = values[i];
    const double expected = v / (1 + std::exp(-v));
    EXPECT_NEAR(out.at(0, i), expected, std::abs(expected) * 1e-6 + 1e-34) << v;
  }
  EXPECT_TRUE(std::isnan(out.at(0, kCount - 1)));
}

struct NormCase {
  Matrix x, residual, out;
};

NormCase rms_norm(const KernelSet& kernels, NormCase c, std::vector<float>& weight, bool residual,
                  int threads) {
  const fathom_rms_norm_args args = {
      sizeof(args),  c.x.tensor(), residual ? c.residual.tensor() : fathom_tensor{},
      weight.data(), 1e-6f,        0,
      c.out.tensor()};
  CpuDevice device(kernels, threads);
  EXPECT_EQ(device.run(FATHOM_OP_RMS_NORM, &args), FATHOM_OK);
  return c;
}

TEST_P(Elementwise, RmsNormMatchesTheFormula) {
  for (const int64_t columns : kColumns) {
    for (const bool with_residual : {false, true}) {
      const NormCase in = {Matrix::random(random_, 20, columns, 1),
                           Matrix::random(random_, 20, columns, 2), Matrix(20, columns, 3)};
      std::vector<float> weight;
      for (int64_t i = 0; i < columns; ++i) weight.push_back(in.x.at(i % 20, i) + 1);
      const NormCase got = rms_norm(kernels(), in, weight, with_residual, 2);
      EXPECT_TRUE(got.out.gaps_are_whole());
      for (int64_t t = 0; t < 20; ++t) {
        std::vector<float> v;
        double sum = 0;
        for (int64_t i = 0; i < columns; ++i) {
          v.push_back(with_residual ? in.x.at(t, i) + in.residual.at(t, i) : in.x.at(t, i));
          if (with_residual) {
            ASSERT_EQ(got.residual.at(t, i), v.back());
          }
          sum += double{v.back()} * v.back();
        }
        const double norm = std::sqrt(sum / static_cast<double>(columns) + 1e-6);
        for (int64_t i = 0; i < columns; ++i) {
          const double expected = v[static_cast<size_t>(i)] / norm * weight[static_cast<size_t>(i)];
          // All squares are positive, so the sum's relative error is a dot product's; its root
          // halves it.
          const double bound =
              test::dot_bound(columns, std::abs(expected)) / 2 + 6 * kRounding * std::abs(expected);
          ASSERT_NEAR(got.out.at(t, i), expected, bound);
        }
      }
    }
  }
}

TEST_P(Elementwise, RmsNormRowsHaveTheSameBitsAloneAndInPlace) {
  std::vector<float> weight(301, 0.5f);
  const NormCase in = {Matrix::random(random_, 40, 301), Matrix(40, 301), Matrix(40, 301)};
  const NormCase all = rms_norm(kernels(), in, weight, false, 2);
  Matrix x = in.x;
  CpuDevice device(kernels());
  for (int64_t t = 0; t < 40; ++t) {
    const fathom_rms_norm_args args = {
        sizeof(args),       x.rows_tensor(t, 1), fathom_tensor{}, weight.data(), 1e-6f, 0,
        x.rows_tensor(t, 1)};
    ASSERT_EQ(device.run(FATHOM_OP_RMS_NORM, &args), FATHOM_OK);
  }
  EXPECT_TRUE(all.out.same_bits(x));
}

struct Stats {
  std::vector<float> max_value, log_sum_exp;
  std::vector<int32_t> max_index;
};

Stats logits_stats(const KernelSet& kernels, Matrix& logits) {
  const auto rows = static_cast<size_t>(logits.rows());
  Stats stats = {std::vector<float>(rows), std::vector<float>(rows), std::vector<int32_t>(rows)};
  const fathom_logits_stats_args args = {sizeof(args), logits.tensor(), stats.max_value.data(),
                                         stats.max_index.data(), stats.log_sum_exp.data()};
  CpuDevice device(kernels, 2);
  EXPECT_EQ(device.run(FATHOM_OP_LOGITS_STATS, &args), FATHOM_OK);
  return stats;
}

TEST_P(Elementwise, LogitsStatsMatchTheFormula) {
  for (const int64_t vocab : {1, 7, 16, 1000, 12345}) {
    Matrix logits = Matrix::random(random_, 4, vocab, 3, 5.0f);
    const Stats stats = logits_stats(kernels(), logits);
    for (int64_t t = 0; t < 4; ++t) {
      int64_t best = 0;
      double sum = 0;
      for (int64_t i = 0; i < vocab; ++i) {
        if (logits.at(t, i) > logits.at(t, best)) best = i;
        sum += std::exp(double{logits.at(t, i)});
      }
      const auto row = static_cast<size_t>(t);
      EXPECT_EQ(stats.max_index[row], best);
      EXPECT_EQ(stats.max_value[row], logits.at(t, best));
      // Parts of 1024 are summed in F32; the result is rounded to F32.
      const double allowed = (1024 / 4 + 16) * kRounding + 32 * kRounding;
      EXPECT_NEAR(stats.log_sum_exp[row], std::log(sum), allowed);
    }
  }
}

TEST_P(Elementwise, LogitsStatsNameTheLowestIndexAndNeverOneOutside) {
  Matrix logits(3, 50);
  for (int64_t i = 0; i < 50; ++i) {
    logits.at(0, i) = i == 13 || i == 14 || i == 49 ? 2.0f : -1.0f;
    logits.at(1, i) = std::numeric_limits<float>::quiet_NaN();
    logits.at(2, i) = -std::numeric_limits<float>::infinity();
  }
  const Stats stats = logits_stats(kernels(), logits);
  EXPECT_EQ(stats.max_index[0], 13);
  for (const int32_t index : stats.max_index) {
    EXPECT_GE(index, 0);
    EXPECT_LT(index, 50);
  }
}

FATHOM_NATIVE_SUITE(Elementwise);
INSTANTIATE_TEST_SUITE_P(Oracle, Elementwise, ::testing::Values(&reference_kernels()),
                         test::set_name);

}  // namespace
}  // namespace fathom::cpu
