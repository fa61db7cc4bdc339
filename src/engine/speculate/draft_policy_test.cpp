#include "engine/speculate/draft_policy.h"

#include <gtest/gtest.h>

#include <random>

namespace fathom::engine {
namespace {

void measure(DraftPolicy& policy, int64_t sequences, int64_t drafts, double seconds) {
  for (int i = 0; i < 100; ++i) policy.measured(sequences, drafts, seconds);
}

TEST(DraftPolicy, ADraftMustEarnWhatItCosts) {
  DraftPolicy policy(8, false);
  EXPECT_EQ(policy.break_even(1), 0);
  measure(policy, 1, 0, 1.0);
  EXPECT_EQ(policy.break_even(1), 0);
  measure(policy, 1, 1, 1.4);
  EXPECT_NEAR(policy.break_even(1), 0.4, 1e-9);
  measure(policy, 4, 0, 2.0);  // half a second a token
  measure(policy, 4, 4, 4.4);  // 0.6 s a draft
  EXPECT_NEAR(policy.break_even(4), 1.2, 1e-9);
  measure(policy, 4, 0, 4.0);  // the averages follow
  measure(policy, 4, 2, 4.4);
  EXPECT_NEAR(policy.break_even(4), 0.2, 1e-3);
}

TEST(DraftPolicy, ABusyMachineDoesNotDecide) {
  DraftPolicy policy(8, false);
  std::mt19937_64 random(1);
  const auto delay = [&random] {
    return random() % 2 == 0 ? 0.0 : static_cast<double>(random() % 8);
  };
  for (int i = 0; i < 2000; ++i) {
    policy.measured(1, 0, 1.0 + delay());
    policy.measured(1, 1, 1.4 + delay());
    if (i < 50) continue;
    ASSERT_GT(policy.break_even(1), 0.1);
    ASSERT_LT(policy.break_even(1), 0.8);
  }
}

TEST(DraftPolicy, TakesStepsTheOtherWayOftenAtFirstAndThenNowAndThen) {
  DraftPolicy policy(8, false);
  const auto probes = [&policy] {
    int count = 0;
    for (int i = 0; i < 320; ++i) count += policy.probe(2) ? 1 : 0;
    return count;
  };
  EXPECT_EQ(probes(), 80);
  measure(policy, 2, 0, 1.0);
  EXPECT_EQ(probes(), 10);
}

TEST(DraftPolicy, AlwaysIsAlways) {
  DraftPolicy policy(8, true);
  measure(policy, 1, 0, 1.0);
  measure(policy, 1, 1, 9.0);
  EXPECT_EQ(policy.break_even(1), 0);
  EXPECT_FALSE(policy.probe(1));
}

}  // namespace
}  // namespace fathom::engine
