#include "sampling/rule.h"

#include <gtest/gtest.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace fathom::sampling {
namespace {

constexpr uint64_t kOne = uint64_t{1} << kWeightBits;

static_assert(kOne << 18 < uint64_t{1} << 63);

// What a vendor's engineer compares a kernel with first.
TEST(Rule, WeighsKnownExponents) {
  EXPECT_EQ(weight_of(0.0f), kOne);
  EXPECT_EQ(weight_of(-0.0f), kOne);
  EXPECT_EQ(weight_of(-0x1p-25f), kOne);
  EXPECT_EQ(weight_of(-0x1p-24f), kOne - (uint64_t{1} << 20));
  EXPECT_NEAR(static_cast<double>(weight_of(-1.0f)), std::exp(-1.0) * 0x1p44, 0x1p19);
  EXPECT_EQ(weight_of(kLeastExponent), 1u);
}

TEST(Rule, TermsAreWithinTheirRanges) {
  const Terms off = terms_of({});
  EXPECT_FALSE(off.greedy);
  EXPECT_EQ(off.inverse_temperature, 1.0f);
  EXPECT_EQ(off.least_exponent, kLeastExponent);
  EXPECT_EQ(off.top_k, 0);
  EXPECT_EQ(off.share, 0u);
  const float greatest = std::numeric_limits<float>::max();
  EXPECT_TRUE(terms_of({.temperature = 0.0f}).greedy);
  EXPECT_EQ(terms_of({.temperature = 0.5f}).inverse_temperature, 2.0f);
  EXPECT_EQ(terms_of({.temperature = 1e-45f}).inverse_temperature, 0x1p60f);
  EXPECT_EQ(terms_of({.temperature = greatest}).inverse_temperature, 0x1p-126f);
  EXPECT_EQ(terms_of({.top_p = 0.5f}).share, uint64_t{1} << 63);
  EXPECT_EQ(terms_of({.top_p = 0x1.fffffep-1f}).share, ~uint64_t{0} << 40);
  EXPECT_EQ(terms_of({.top_p = 0x1p-126f}).share, 1u);
  EXPECT_EQ(terms_of({.min_p = 1.0f}).least_exponent, -0x1p-25f);
  EXPECT_EQ(terms_of({.min_p = 1e-30f}).least_exponent, kLeastExponent);
  EXPECT_FLOAT_EQ(terms_of({.min_p = 0.25f}).least_exponent, std::log(0.25f));
  EXPECT_EQ(terms_of({.repetition_penalty = 4.0f}).inverse_repetition_penalty, 0.25f);
  EXPECT_EQ(terms_of({.repetition_penalty = greatest}).inverse_repetition_penalty, 0x1p-126f);
}

TEST(Rule, TargetsAreBelowTheTotalAndSharesAreRoundedUp) {
  for (const uint64_t total : {uint64_t{1}, kOne, kOne << 18}) {
    EXPECT_EQ(target_of(total, 0), 0u);
    EXPECT_EQ(target_of(total, ~uint64_t{0}), total - 1);
    EXPECT_EQ(share_of(total, 1), 1u);
    EXPECT_EQ(share_of(total, ~uint64_t{0}), total);
  }
  EXPECT_EQ(share_of(10, uint64_t{1} << 63), 5u);
  EXPECT_EQ(share_of(11, uint64_t{1} << 63), 6u);
  EXPECT_EQ(target_of(11, uint64_t{1} << 63), 5u);
}

#if defined(__x86_64__)
// What a token weighs, and whether it takes part where min_p is 1. A call, which stays where
// it is between the changes of the processor's mode.
__attribute__((noinline)) uint64_t weigh_apart(volatile const float& logit,
                                               volatile const float& best, float inverse) {
  const float x = exponent_of(logit, best, inverse);
  return x >= kLeastExponent ? weight_of(x) + (x >= -0x1p-25f ? 1 : 0) : 0;
}

// By a processor that counts numbers below 2^-126 as zero.
TEST(Rule, NumbersBelowTheNormalOnesChangeNoWeight) {
  std::mt19937 random(6);
  std::uniform_real_distribution<float> exponents(-149, -60);
  const unsigned before = _mm_getcsr();
  for (int i = 0; i < 20'000; ++i) {
    const float a = std::exp2(exponents(random)) * (i % 2 == 0 ? 1.0f : -1.0f);
    const float b = std::exp2(exponents(random)) * (i % 3 == 0 ? 1.0f : -1.0f);
    const float best = std::max(a, b);
    const float logit = std::min(a, b);
    const float inverse = i % 5 == 0 ? 0x1p-126f : 0x1p60f;
    const uint64_t kept = weigh_apart(logit, best, inverse);
    _mm_setcsr(before | 0x8040);  // results and operands
    const uint64_t flushed = weigh_apart(logit, best, inverse);
    _mm_setcsr(before);
    ASSERT_EQ(kept, flushed) << logit << ", " << best << ", " << inverse;
  }
}
#endif

}  // namespace
}  // namespace fathom::sampling
