#include "sampling/logprobs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <random>

namespace fathom::sampling {
namespace {

TEST(Logprobs, EqualBruteForce) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200; ++round) {
    const size_t vocab = 1 + random() % 300;
    std::normal_distribution<float> normal(0.0f, round % 2 ? 3.0f : 60.0f);
    std::vector<float> logits(vocab);
    for (float& logit : logits) logit = round % 3 ? normal(random) : std::round(normal(random));
    long double sum = 0.0L;
    const float best = *std::max_element(logits.begin(), logits.end());
    for (const float logit : logits) sum += std::exp(static_cast<long double>(logit) - best);
    const auto expected = [&](size_t t) {
      return static_cast<double>(logits[t] - best - std::log(sum));
    };
    std::vector<size_t> order(vocab);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return logits[a] > logits[b]; });

    SamplerScratch scratch(static_cast<int64_t>(vocab));
    const size_t token = random() % vocab;
    const auto top = static_cast<int32_t>(random() % 25);
    const auto scored = token_logprob(logits, static_cast<TokenId>(token), top, scratch);
    ASSERT_TRUE(scored.has_value());
    EXPECT_EQ(scored->token, static_cast<TokenId>(token));
    EXPECT_NEAR(scored->logprob, expected(token), 1e-6 * (1 + std::abs(expected(token))));
    ASSERT_EQ(scored->top.size(), std::min(vocab, static_cast<size_t>(top)));
    for (size_t i = 0; i < scored->top.size(); ++i) {
      EXPECT_EQ(scored->top[i].first, static_cast<TokenId>(order[i]));
      EXPECT_NEAR(scored->top[i].second, expected(order[i]),
                  1e-6 * (1 + std::abs(expected(order[i]))));
    }
  }
}

// Where nearly all of the sum is of tokens far below the best, or none of them counts any more.
TEST(Logprobs, TailsOfEveryDepthCountExactlyEnough) {
  constexpr size_t kVocabulary = 129'280;
  SamplerScratch scratch(kVocabulary);
  for (const float best : {0.0f, 17.3f, -291.7f}) {
    for (float depth = 0.25f; depth < 40.0f; depth += 0.37f) {
      std::vector<float> logits(kVocabulary, best - depth);
      logits[70'000] = best;
      const long double below = static_cast<long double>(logits[0]) - best;
      const long double norm = std::log(1 + (kVocabulary - 1) * std::exp(below));
      const auto scored = token_logprob(logits, 5, 2, scratch);
      ASSERT_TRUE(scored.has_value());
      const auto rest = static_cast<double>(below - norm);
      EXPECT_NEAR(scored->logprob, rest, 1e-6 * (1 + std::abs(rest))) << depth;
      EXPECT_EQ(scored->top[0].first, 70'000);
      EXPECT_NEAR(scored->top[0].second, static_cast<double>(-norm), 1e-6) << depth;
    }
  }
}

TEST(Logprobs, WhatIsNotFiniteHasNoProbability) {
  const float infinity = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<float> logits = {nan, 0.0f, infinity, 0.0f, -infinity};
  SamplerScratch scratch(static_cast<int64_t>(logits.size()));
  const auto scored = token_logprob(logits, 0, 3, scratch);
  ASSERT_TRUE(scored.has_value());
  EXPECT_EQ(scored->logprob, -infinity);
  EXPECT_EQ(scored->top[0].first, 1);
  EXPECT_FLOAT_EQ(scored->top[0].second, std::log(0.5f));
  EXPECT_EQ(scored->top[1].first, 3);
  EXPECT_EQ(scored->top[2], (std::pair<TokenId, float>(0, -infinity)));
  const std::vector<float> none = {nan, infinity, -infinity};
  EXPECT_FALSE(token_logprob(none, 0, 1, scratch).has_value());
}

}  // namespace
}  // namespace fathom::sampling
