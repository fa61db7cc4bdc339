#include "sampling/logit_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "base/instruction_sets.h"

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

TEST_P(LogitScanTest, WeighsByTheRule) {
  const WeightRule rule = weight_rule(30, 1.7f, -25);
  for (const size_t count : {1, 7, 15, 1024, 3001}) {
    const auto row = awkward_row(count, 4);
    std::vector<uint64_t> weights(count + 1, 1);
    GetParam()->weigh(row.data(), static_cast<int64_t>(count), rule, weights.data());
    for (size_t i = 0; i < count; ++i) {
      const bool weighs = row[i] >= rule.least && row[i] <= rule.best;
      EXPECT_EQ(weights[i], weighs ? weight_of(exponent_of(row[i], rule)) : 0) << row[i];
    }
    EXPECT_EQ(weights[count], 1u);
  }
}

TEST_P(LogitScanTest, SumsChunks) {
  const WeightRule rule = weight_rule(40, 0.9f, kLeastExponent);
  for (const size_t count : {3, 1024, 1025, 129'280}) {
    const auto row = awkward_row(count, 5);
    const auto size = static_cast<int64_t>(count);
    std::vector<float> maxima(static_cast<size_t>(blocks_of(size)));
    std::vector<uint64_t> sums(static_cast<size_t>(chunks_of(size)));
    std::vector<uint64_t> weights(count);
    GetParam()->block_maxima(row.data(), size, maxima.data());
    GetParam()->chunk_sums(row.data(), maxima.data(), size, rule, sums.data());
    GetParam()->weigh(row.data(), size, rule, weights.data());
    for (size_t chunk = 0; chunk < sums.size(); ++chunk) {
      uint64_t sum = 0;
      for (size_t i = chunk * 1024; i < std::min(count, chunk * 1024 + 1024); ++i) {
        sum += weights[i];
      }
      EXPECT_EQ(sums[chunk], sum) << count << " chunk " << chunk;
    }
  }
}

TEST(WeightRule, HasTheLeastLogitOfAnExponent) {
  std::mt19937 random(8);
  std::normal_distribution<float> normal(0, 10);
  for (int round = 0; round < 2000; ++round) {
    const float best = round % 7 == 0 ? normal(random) * 1e-30f : normal(random);
    const float inverse = std::exp2(normal(random) / 3);
    const float least_exponent = std::max(-std::abs(normal(random)), kLeastExponent);
    const WeightRule rule = weight_rule(best, inverse, least_exponent);
    EXPECT_GE(exponent_of(rule.least, rule), least_exponent);
    EXPECT_LT(exponent_of(std::nextafter(rule.least, -kInf), rule), least_exponent);
  }
}

TEST(LogitScans, AreThoseThatThisProcessorRuns) {
  std::vector<std::string> expected = {"portable"};
#if defined(__x86_64__)
  if (runs_avx2()) expected.emplace_back("avx2");
  if (runs_avx512()) expected.emplace_back("avx512");
#endif
  std::vector<std::string> names;
  for (const auto* set : logit_scans()) names.emplace_back(set->name);
  EXPECT_EQ(names, expected);
}

INSTANTIATE_TEST_SUITE_P(Sets, LogitScanTest, ::testing::ValuesIn(logit_scans()),
                         [](const auto& set) { return std::string(set.param->name); });

}  // namespace
}  // namespace fathom::sampling
