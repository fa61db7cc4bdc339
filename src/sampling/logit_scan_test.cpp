#include "sampling/logit_scan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>

namespace fathom::sampling {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> awkward_row(size_t count, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 12);
  std::vector<float> row(count);
  for (auto& logit : row) logit = normal(random);
  for (size_t i = 5; i < count; i += 41) {
    const float odd[] = {std::nanf(""), kInf, -kInf, 0.0f};
    row[i] = odd[i % 4];
  }
  return row;
}

class LogitScanTest : public ::testing::TestWithParam<const LogitScan*> {};

TEST_P(LogitScanTest, FindsTheGreatestFiniteLogitOfEachBlock) {
  for (const size_t count : {1, 5, 63, 64, 65, 130, 5000}) {
    auto row = awkward_row(count, 3);
    if (count > 130) std::fill(row.begin() + 64, row.begin() + 128, std::nanf(""));
    std::vector<float> maxima(static_cast<size_t>(blocks_of(static_cast<int64_t>(count))));
    GetParam()->block_maxima(row.data(), static_cast<int64_t>(count), maxima.data());
    for (size_t block = 0; block < maxima.size(); ++block) {
      float greatest = -kInf;
      for (size_t i = block * 64; i < std::min(count, block * 64 + 64); ++i) {
        if (std::isfinite(row[i])) greatest = std::max(greatest, row[i]);
      }
      EXPECT_EQ(maxima[block], greatest) << count << " block " << block;
    }
  }
}

TEST_P(LogitScanTest, WeighsByTheExponential) {
  const WeightRule rule{.best = 30, .inverse_temperature = 1.7, .least = 30 - 50 / 1.7};
  for (const size_t count : {1, 7, 1024, 3001}) {
    const auto row = awkward_row(count, 4);
    std::vector<double> weights(count);
    GetParam()->weigh(row.data(), static_cast<int64_t>(count), rule, weights.data());
    for (size_t i = 0; i < count; ++i) {
      const bool weighs = row[i] >= rule.least && row[i] <= rule.best;
      const double wanted = weighs ? std::exp((row[i] - 30.0) * 1.7) : 0.0;
      EXPECT_NEAR(weights[i], wanted, 1e-15 * wanted) << row[i];
    }
  }
}

// Whoever computes it: so that the same seed gives the same token on every machine.
TEST_P(LogitScanTest, GivesTheBitsOfEveryOtherSet) {
  const WeightRule rule{.best = 40, .inverse_temperature = 0.9, .least = 15};
  const auto row = awkward_row(129'280, 5);
  const auto count = static_cast<int64_t>(row.size());
  std::vector<double> sums(static_cast<size_t>(chunks_of(count)));
  std::vector<double> weights(row.size());
  std::vector<float> maxima(static_cast<size_t>(blocks_of(count)));
  GetParam()->block_maxima(row.data(), count, maxima.data());
  GetParam()->chunk_sums(row.data(), maxima.data(), count, rule, sums.data());
  GetParam()->weigh(row.data(), count, rule, weights.data());
  std::vector<double> plain_sums(sums.size());
  std::vector<double> plain_weights(weights.size());
  logit_scans().front()->chunk_sums(row.data(), maxima.data(), count, rule, plain_sums.data());
  logit_scans().front()->weigh(row.data(), count, rule, plain_weights.data());
  EXPECT_EQ(sums, plain_sums);
  EXPECT_EQ(weights, plain_weights);
  for (size_t chunk = 0; chunk < sums.size(); ++chunk) {
    long double sum = 0;
    for (size_t i = chunk * 1024; i < std::min(row.size(), chunk * 1024 + 1024); ++i) {
      sum += weights[i];
    }
    EXPECT_NEAR(sums[chunk], static_cast<double>(sum), 1e-13 * sums[chunk]);
  }
}

INSTANTIATE_TEST_SUITE_P(Sets, LogitScanTest, ::testing::ValuesIn(logit_scans()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fathom::sampling
