#include "sampling/adjust.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "sampling/testing/cases.h"

namespace fathom::sampling {
namespace {

std::vector<float> adjusted_of(const Case& c) {
  std::vector<float> changed(c.logits.size());
  std::vector<int32_t> counts(c.logits.size());
  const auto logits = adjusted(c.logits, c.of_draw(), terms_of(c.params), changed, counts);
  for (const int32_t count : counts) EXPECT_EQ(count, 0);
  return {logits.begin(), logits.end()};
}

// Written to memory, so that no compiler keeps more bits.
float rounded(float x) {
  volatile float kept = x;
  return kept;
}

TEST(Adjust, RoundsEachOperationByItself) {
  Dice dice(11);
  for (int i = 0; i < 5000; ++i) {
    Case c;
    c.logits = {dice.real(-9, 9), dice.real(-9, 9)};
    c.tokens = {0, 1, 1, 1};
    c.generated_from = 1;
    c.params.repetition_penalty = dice.real(0.5, 2);
    c.params.presence_penalty = dice.real(-2, 2);
    c.params.frequency_penalty = dice.real(-2, 2);
    c.params.logit_bias = {{1, dice.real(-3, 3)}, {1, dice.real(-3, 3)}};
    const auto repeated = [&](float logit) {
      const float inverse = rounded(1.0f / c.params.repetition_penalty);
      return rounded(logit * (logit > 0 ? inverse : c.params.repetition_penalty));
    };
    const float frequency = rounded(c.params.frequency_penalty * 3.0f);
    const float penalty = rounded(c.params.presence_penalty + frequency);
    const float penalised = rounded(repeated(c.logits[1]) - penalty);
    const float biased = rounded(penalised + c.params.logit_bias[0].second);
    const std::vector<float> got = adjusted_of(c);
    ASSERT_EQ(got[0], repeated(c.logits[0]));
    ASSERT_EQ(got[1], rounded(biased + c.params.logit_bias[1].second));
  }
}

TEST(Adjust, KeepsFiniteLogitsFiniteAndLeavesTheOthers) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  constexpr float kGreatest = std::numeric_limits<float>::max();
  Case c;
  c.logits = {3e38f, -3e38f, kInfinite, -kInfinite, std::numeric_limits<float>::quiet_NaN()};
  for (TokenId token = 0; token < 5; ++token) {
    c.params.logit_bias.emplace_back(token, token == 1 ? -2e38f : 2e38f);
  }
  const std::vector<float> got = adjusted_of(c);
  EXPECT_EQ(got[0], kGreatest);
  EXPECT_EQ(got[1], -kGreatest);
  EXPECT_EQ(got[2], kInfinite);
  EXPECT_EQ(got[3], -kInfinite);
  EXPECT_TRUE(std::isnan(got[4]));
}

}  // namespace
}  // namespace fathom::sampling
