#include "models/deepseek_v3/sharding/expert_placement.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <set>

namespace fathom::models::deepseek_v3 {
namespace {

Config config_of(int64_t experts) {
  Config config;
  config.n_routed_experts = experts;
  config.num_experts_per_tok = 4;
  return config;
}

TEST(Balance, TheBusiestExpertsAreHeldMoreThanOnce) {
  const ParallelLayout layout = {.dp = 4, .ep = 4, .redundant = 4};
  std::vector<float> loads(16, 1.0f);
  loads[5] = 100.0f;
  loads[6] = 50.0f;
  const auto before = place_experts(layout, config_of(16));
  const auto after = balance_experts(layout, before, loads);
  const auto copies = [&](int64_t expert) {
    return std::ranges::count_if(
        after, [&](const auto& here) { return std::ranges::find(here, expert) != here.end(); });
  };
  EXPECT_GE(copies(5), 3);
  EXPECT_GE(copies(6), 2);
  EXPECT_LT(imbalance(after, loads), 0.7 * imbalance(before, loads));
}

// Whatever the loads: the same number of places, own experts and the shared one where they were,
// nothing twice on a rank; and better, where loads are far from even.
TEST(Balance, KeepsWhatAPlacementPromises) {
  std::mt19937 random(1);
  for (const ParallelLayout& layout :
       {ParallelLayout{.dp = 4, .ep = 4, .redundant = 8},
        ParallelLayout{.dp = 2, .tp = 4, .ep = 8, .redundant = 32},
        ParallelLayout{.dp = 8, .ep = 8, .redundant = 4, .shared = 4}}) {
    const auto before = place_experts(layout, config_of(64));
    std::vector<float> loads(64);
    for (float& load : loads) load = std::exp(static_cast<float>(random() % 1000) / 200.0f);
    const auto after = balance_experts(layout, before, loads);
    ASSERT_EQ(after.size(), before.size());
    for (size_t index = 0; index < after.size(); ++index) {
      ASSERT_EQ(after[index].size(), before[index].size());
      EXPECT_EQ(std::set<int64_t>(after[index].begin(), after[index].end()).size(),
                after[index].size());
      const Range own = part_of(64, static_cast<int64_t>(index), layout.ep);
      for (int64_t i = 0; i < own.size(); ++i) {
        EXPECT_EQ(after[index][static_cast<size_t>(i)], own.begin + i);
      }
      EXPECT_EQ(after[index].back() == kSharedExpert, before[index].back() == kSharedExpert);
    }
    EXPECT_LE(imbalance(after, loads), imbalance(before, loads));
  }
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
