#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "sampling/noise.h"
#include "sampling/testing/cases.h"

namespace fathom::sampling {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

// The documented meaning, in double, with full sorts: the probability of every token.
std::vector<double> brute_force(const Case& c) {
  const size_t vocab = c.logits.size();
  std::vector<double> x(c.logits.begin(), c.logits.end());
  const std::set<TokenId> seen(c.tokens.begin(), c.tokens.end());
  for (const TokenId t : seen) {
    double& logit = x[static_cast<size_t>(t)];
    logit = logit > 0 ? logit / c.params.repetition_penalty : logit * c.params.repetition_penalty;
  }
  std::map<TokenId, int> answer;
  for (size_t i = static_cast<size_t>(c.generated_from); i < c.tokens.size(); ++i) {
    ++answer[c.tokens[i]];
  }
  for (const auto& [t, n] : answer) {
    x[static_cast<size_t>(t)] -= c.params.presence_penalty + c.params.frequency_penalty * n;
  }
  for (const auto& [t, bias] : c.params.logit_bias) x[static_cast<size_t>(t)] += bias;
  std::vector<bool> kept(vocab, true);
  for (const TokenId t : c.banned) kept[static_cast<size_t>(t)] = false;

  std::vector<size_t> order(vocab);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return x[a] > x[b]; });
  std::erase_if(order, [&](size_t t) { return !kept[t]; });
  std::vector<double> p(vocab, 0.0);
  if (c.params.temperature == 0) {
    p[order[0]] = 1.0;
    return p;
  }
  const auto weight = [&](size_t t) {
    return std::exp((x[t] - x[order[0]]) / double{c.params.temperature});
  };
  std::erase_if(order, [&](size_t t) { return weight(t) < c.params.min_p; });
  if (c.params.top_k > 0 && order.size() > static_cast<size_t>(c.params.top_k)) {
    order.resize(static_cast<size_t>(c.params.top_k));
  }
  double total = 0.0;
  for (const size_t t : order) total += weight(t);
  double sum = 0.0;
  size_t keep = 0;
  while (keep < order.size() && (keep == 0 || sum < c.params.top_p * total)) {
    sum += weight(order[keep++]);
  }
  if (c.params.top_p < 1.0f) order.resize(keep);
  total = 0.0;
  for (const size_t t : order) total += weight(t);
  for (const size_t t : order) p[t] = weight(t) / total;
  return p;
}

TokenId inverse_cdf(const std::vector<double>& p, double noise) {
  double sum = 0.0;
  TokenId last = 0;
  for (size_t t = 0; t < p.size(); ++t) {
    if (p[t] == 0.0) continue;
    last = static_cast<TokenId>(t);
    sum += p[t];
    if (sum > noise) return last;
  }
  return last;
}

// Of 53 bits.
double uniform_noise(uint64_t seed, uint64_t position) {
  return static_cast<double>(noise_bits(seed, position) >> 11) * 0x1p-53;
}

// Penalties in float and in double can order two nearly equal logits differently; then neither is
// wrong, so such a case only has to draw from the tokens that double allows.
bool near_tie(const Case& c, TokenId drawn, TokenId expected) {
  Case greedy = c;
  greedy.params.temperature = 1.0f;
  greedy.params.top_p = 1.0f;
  greedy.params.top_k = 0;
  greedy.params.min_p = 0.0f;
  const std::vector<double> p = brute_force(greedy);
  const double a = p[static_cast<size_t>(drawn)];
  const double b = p[static_cast<size_t>(expected)];
  return std::abs(a - b) < 1e-5 * std::max(a, b);
}

TEST(Sampler, EqualsBruteForceInDouble) {
  Dice dice(20240501);
  int near_ties = 0;
  for (int i = 0; i < 4000; ++i) {
    const Case c = random_case(dice, 2 + dice.below(200));
    const auto drawn = c.draw();
    ASSERT_TRUE(drawn.has_value());
    const uint64_t position = c.of_draw().position();
    const TokenId expected = inverse_cdf(brute_force(c), uniform_noise(c.seed, position));
    if (*drawn == expected) continue;
    ++near_ties;
    EXPECT_TRUE(near_tie(c, *drawn, expected))
        << "case " << i << ": " << *drawn << ", " << expected;
  }
  EXPECT_LE(near_ties, 8);
}

// Many blocks and chunks of logits, some of them equal, and some without any that is near the best.
TEST(Sampler, EqualsBruteForceOverALargeVocabulary) {
  std::mt19937_64 random(9);
  std::normal_distribution<float> normal(0, 3);
  SamplerScratch scratch(20'011);
  for (int round = 0; round < 24; ++round) {
    Case c;
    c.seed = random();
    for (int i = 0; i < 20'011; ++i) {
      const float logit = normal(random);
      c.logits.push_back(round % 2 ? logit : std::round(4 * logit) / 4);
    }
    std::fill(c.logits.begin() + 3000, c.logits.begin() + 6000, -300.0f);
    c.params.temperature = round % 3 ? 1.0f : 0.4f;
    if (round % 4 == 1) c.params.top_p = 0.9f;
    if (round % 4 == 2) c.params.top_k = 1 << round % 13;
    if (round % 4 == 3) c.params.min_p = 0.02f;
    if (round % 5 == 0) c.params.top_p = 0.3f;
    const TokenId expected = inverse_cdf(brute_force(c), uniform_noise(c.seed, 0));
    EXPECT_EQ(c.draw(scratch), expected) << round;
  }
}

// Of that many degrees of freedom, which chance is above once in 10,000 times (Wilson, Hilferty).
double chi_square_limit(int degrees) {
  const double spread = 2.0 / (9.0 * degrees);
  return degrees * std::pow(1.0 - spread + 3.72 * std::sqrt(spread), 3);
}

void expect_frequencies(Case c) {
  const std::vector<double> p = brute_force(c);
  constexpr int kDraws = 40000;
  std::vector<int> counts(c.logits.size());
  SamplerScratch scratch(static_cast<int64_t>(c.logits.size()));
  for (int i = 0; i < kDraws; ++i) {
    c.seed = static_cast<uint64_t>(i);
    ++counts[static_cast<size_t>(*c.draw(scratch))];
  }
  double chi_square = 0.0;
  int degrees = -1;
  double rare = 0.0;  // tokens too rare to be compared alone are so together
  int rare_count = 0;
  const auto compare = [&](double expected, int count) {
    chi_square += (count - expected) * (count - expected) / expected;
    ++degrees;
  };
  for (size_t t = 0; t < p.size(); ++t) {
    const double expected = kDraws * p[t];
    if (expected == 0.0) {
      EXPECT_EQ(counts[t], 0) << t;
    } else if (expected >= 10) {
      compare(expected, counts[t]);
    } else {
      rare += expected;
      rare_count += counts[t];
    }
  }
  if (rare >= 10) compare(rare, rare_count);
  ASSERT_GT(degrees, 0);
  EXPECT_LT(chi_square, chi_square_limit(degrees)) << degrees;
}

TEST(Sampler, FrequenciesFollowTheDistribution) {
  Case c;
  Dice dice(5);
  for (int t = 0; t < 300; ++t) c.logits.push_back(dice.real(-4, 4));
  c.params.temperature = 0.8f;
  expect_frequencies(c);
  Case narrowed = c;
  narrowed.params.top_p = 0.7f;
  expect_frequencies(narrowed);
  narrowed.params.top_k = 40;
  expect_frequencies(narrowed);
  narrowed = c;
  narrowed.params.min_p = 0.2f;
  narrowed.params.temperature = 1.7f;
  expect_frequencies(narrowed);
  narrowed = c;
  narrowed.tokens = {3, 3, 8, 100, 101, 3};
  narrowed.generated_from = 2;
  narrowed.params.frequency_penalty = 0.5f;
  narrowed.params.presence_penalty = 0.5f;
  narrowed.params.repetition_penalty = 1.3f;
  narrowed.params.logit_bias = {{5, 3.0f}, {6, -3.0f}};
  expect_frequencies(narrowed);
}

TEST(Sampler, GreedyTakesTheLowestOfEqualTokens) {
  Case c;
  c.logits = {1.0f, 3.0f, 2.0f, 3.0f, 3.0f};
  c.params.temperature = 0.0f;
  EXPECT_EQ(c.draw(), 1);
  c.banned = {1};
  EXPECT_EQ(c.draw(), 3);
}

TEST(Sampler, ATokenIsDrawnFromItsFirstTargetToItsLast) {
  Dice dice(12);
  std::vector<float> logits;
  for (int t = 0; t < 3000; ++t) logits.push_back(dice.real(-40, 4));
  SamplerScratch scratch(static_cast<int64_t>(logits.size()));
  const LogitRow row(logits, scratch.row);
  const WeightRule rule = weight_rule(row.best(), 1.0f, kLeastExponent);
  const uint64_t total = row.total(rule);
  uint64_t before = 0;
  for (size_t t = 0; t < logits.size(); ++t) {
    if (logits[t] < rule.least) continue;
    const uint64_t weight = weight_of(exponent_of(logits[t], rule));
    ASSERT_EQ(row.pick(rule, before, {}), static_cast<TokenId>(t));
    before += weight;
    ASSERT_EQ(row.pick(rule, before - 1, {}), static_cast<TokenId>(t));
  }
  EXPECT_EQ(before, total);
}

TEST(Sampler, NarrowestFiltersEqualGreedy) {
  Dice dice(7);
  for (int i = 0; i < 300; ++i) {
    Case c = random_case(dice, 2 + dice.below(200));
    c.params.top_k = 0;
    c.params.top_p = 1.0f;
    c.params.min_p = 0.0f;
    c.params.temperature = 0.0f;
    const auto greedy = c.draw();
    c.params.temperature = 1.5f;
    Case narrow = c;
    narrow.params.top_k = 1;
    EXPECT_EQ(narrow.draw(), greedy);
    narrow = c;
    narrow.params.top_p = 1e-6f;
    EXPECT_EQ(narrow.draw(), greedy);
    narrow = c;
    narrow.params.temperature = 1e-30f;
    narrow.params.top_k = 1;
    EXPECT_EQ(narrow.draw(), greedy);
  }
}

TEST(Sampler, MinPKeepsWhatIsNearTheBest) {
  Case c;
  c.logits = {0.0f, std::log(0.5f), std::log(0.09f), std::log(0.2f)};
  c.params.min_p = 0.1f;
  std::set<TokenId> drawn;
  for (uint64_t seed = 0; seed < 2000; ++seed) {
    c.seed = seed;
    drawn.insert(*c.draw());
  }
  EXPECT_EQ(drawn, (std::set<TokenId>{0, 1, 3}));
}

TEST(Sampler, BiasOfAHundredForcesOrBans) {
  for (TokenId token = 0; token < 5; ++token) {
    Case c;
    c.logits = {4.0f, -3.0f, 9.0f, -20.0f, 8.0f};
    for (uint64_t seed = 0; seed < 200; ++seed) {
      c.seed = seed;
      c.params.logit_bias = {{token, 100.0f}};
      EXPECT_EQ(c.draw(), token);
      c.params.logit_bias = {{token, -100.0f}};
      EXPECT_NE(c.draw(), token);
    }
  }
}

TEST(Sampler, PositionCountsFromWhereTheAnswerBegins) {
  Case fresh;
  fresh.logits.assign(1000, 0.0f);  // flat: the noise alone decides
  fresh.tokens = {1, 2, 3};
  fresh.generated_from = 1;
  Case other = fresh;
  other.tokens = {9, 9, 9, 9, 9, 2, 3};
  other.generated_from = 5;
  EXPECT_EQ(fresh.draw(), other.draw());
  other.generated_from = 4;
  EXPECT_NE(fresh.draw(), other.draw());
  other = fresh;
  other.seed = 2;
  EXPECT_NE(fresh.draw(), other.draw());
}

TEST(Sampler, NeverDrawsWhatIsNotFinite) {
  Case c;
  c.logits = {kNan, kInfinity, 1.0f, -kInfinity, 0.5f, kNan};
  c.tokens = {0, 1, 2, 3};
  for (const float temperature : {0.0f, 1.0f, 100.0f}) {
    for (uint64_t seed = 0; seed < 200; ++seed) {
      c.seed = seed;
      c.params.temperature = temperature;
      c.params.presence_penalty = seed % 2 ? 1.0f : 0.0f;
      c.params.top_p = seed % 3 ? 1.0f : 0.9f;
      c.params.logit_bias = {{1, 5.0f}};
      const auto drawn = c.draw();
      ASSERT_TRUE(drawn == 2 || drawn == 4);
    }
  }
}

TEST(Sampler, HasNoTokenWhereNoLogitIsFinite) {
  for (const float temperature : {0.0f, 1.0f}) {
    Case c;
    c.params.temperature = temperature;
    c.logits = {kNan, kNan, kNan};
    EXPECT_EQ(c.draw(), std::nullopt);
    c.logits = {-kInfinity, kInfinity, kNan};
    EXPECT_EQ(c.draw(), std::nullopt);
    c.logits = {1.0f, 2.0f, 3.0f};
    c.banned = {0, 1, 2};
    EXPECT_EQ(c.draw(), std::nullopt);
  }
}

TEST(Sampler, NoParameterLeavesNoTokenToDraw) {
  Case c;
  c.logits = {-3e38f, -1.0f, -2.0f};
  c.tokens = {0, 1, 2};
  c.params.repetition_penalty = 3e38f;
  c.params.logit_bias = {{1, -3e38f}};
  for (const float temperature : {0.0f, 1.0f}) {
    c.params.temperature = temperature;
    EXPECT_TRUE(c.draw().has_value());
  }
}

TEST(Sampler, ExtremeParametersStayInRange) {
  Case c;
  c.logits = {3e38f, -3e38f, 1.0f, 3e38f};
  c.tokens = {0, 1, 2, 3};
  for (const float temperature : {1e-38f, 1.0f, 3e38f}) {
    for (const float repetition : {1e-38f, 3e38f}) {
      c.params.temperature = temperature;
      c.params.repetition_penalty = repetition;
      c.params.frequency_penalty = -2.0f;
      const auto drawn = c.draw();
      ASSERT_TRUE(drawn.has_value());
      EXPECT_GE(*drawn, 0);
      EXPECT_LT(*drawn, 4);
    }
  }
}

}  // namespace
}  // namespace fathom::sampling
