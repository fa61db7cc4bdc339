// The fast sampler against the plain one: the same token, always.
#include "sampling/reference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "sampling/noise.h"
#include "sampling/testing/cases.h"

namespace fathom::sampling {
namespace {

TEST(Reference, EqualsTheSamplerOverSmallRows) {
  Dice dice(41);
  for (int i = 0; i < 20'000; ++i) {
    Case c = random_case(dice, 1 + dice.below(i % 10 == 0 ? 3000 : 150));
    if (dice.chance(2)) make_odd(c, dice);
    ASSERT_EQ(c.draw(), c.reference()) << "case " << i;
  }
}

TEST(Reference, EqualsTheSamplerOverDeepSeeksVocabulary) {
  constexpr size_t kVocabulary = 129'280;
  Dice dice(42);
  SamplerScratch scratch(kVocabulary);
  std::normal_distribution<float> normal(0, 3);
  for (int i = 0; i < 60; ++i) {
    Case c = random_case(dice, kVocabulary);
    if (i % 3 != 0) {
      for (float& logit : c.logits) logit = normal(dice.engine());
    }
    if (i % 3 == 1) {  // as of a chip that gives bf16
      for (float& logit : c.logits) logit = std::round(logit * 16) / 16;
    }
    if (i % 5 == 0) make_odd(c, dice);
    ASSERT_EQ(c.draw(scratch), c.reference()) << "case " << i;
    c.params.top_k = 1 + static_cast<int32_t>(dice.below(200));
    ASSERT_EQ(c.draw(scratch), c.reference()) << "case " << i << ", top_k " << c.params.top_k;
  }
}

// The part of equal logits that top_k and top_p leave is the one with the lower ids.
TEST(Reference, EqualsTheSamplerWhereAllLogitsAreEqual) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    Case c;
    c.logits.assign(5000, 2.5f);
    c.seed = seed;
    c.params.top_p = 0.25f;
    const auto drawn = c.draw();
    ASSERT_EQ(drawn, c.reference());
    EXPECT_LT(*drawn, 1250);
    c.params.top_k = 1111;
    ASSERT_EQ(c.draw(), c.reference());
    c.params.top_p = 1.0f;
    EXPECT_LT(*c.draw(), 1111);
    ASSERT_EQ(c.draw(), c.reference());
  }
}

// The best token weighs half of all, to the unit, so it alone is half of the probability.
TEST(Reference, EqualsTheSamplerWhereANucleusHoldsExactlyItsShare) {
  Case c;
  c.logits = {0.0f};
  uint64_t left = weight_of(0.0f);
  for (float x = -1.0f; x >= kLeastExponent; x -= 0.25f) {
    for (; left >= weight_of(x); left -= weight_of(x)) c.logits.push_back(x);
  }
  ASSERT_EQ(left, 0u);
  c.params.top_p = 0.5f;
  for (c.seed = 0; c.seed < 200; ++c.seed) {
    ASSERT_EQ(c.draw(), 0);
    ASSERT_EQ(c.reference(), 0);
  }
}

// On every machine: rows made of integers, one for each way to narrow them.
Case portable_case(uint64_t number) {
  Case c;
  for (uint64_t t = 0; t < 1000; ++t) {
    const auto bits = static_cast<int32_t>(noise_bits(number, t) & 0xffff);
    c.logits.push_back(static_cast<float>(bits - 0x8000) * 0x1p-12f);
  }
  c.seed = number;
  if (number % 2 == 1) c.params.temperature = 0.7f;
  if (number % 3 == 1) c.params.top_p = 0.9f;
  if (number % 4 == 1) c.params.top_k = 20;
  if (number % 5 == 1) c.params.min_p = 0.05f;
  if (number % 6 == 1) {
    c.tokens = {1, 5, 5, 9, 700};
    c.generated_from = 2;
    c.params.repetition_penalty = 1.2f;
    c.params.presence_penalty = 0.3f;
    c.params.frequency_penalty = 0.1f;
    c.params.logit_bias = {{5, 2.5f}};
  }
  return c;
}

TEST(Reference, DrawsWhatWasRecorded) {
  const std::vector<TokenId> recorded = {864, 5,   452, 125, 709, 53,  418, 289, 735, 521,
                                         683, 941, 552, 766, 563, 616, 871, 556, 439, 153,
                                         551, 106, 167, 111, 49,  615, 244, 273, 983, 857};
  std::vector<TokenId> drawn;
  for (uint64_t number = 0; number < 30; ++number) drawn.push_back(*portable_case(number).draw());
  EXPECT_EQ(drawn, recorded);
}

}  // namespace
}  // namespace fathom::sampling
