// The rule as a chip may follow it: lanes that each add up what they come across, in any order,
// prefix sums within a block of lanes, and thresholds found by halving in place of sorts. The token
// must be the reference's.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "sampling/adjust.h"
#include "sampling/noise.h"
#include "sampling/testing/cases.h"

namespace fathom::sampling {
namespace {

// Ranks as the token does, and is above 0; a token that is out has 0.
uint64_t key_of(float logit, size_t id) {
  if (!std::isfinite(logit)) return 0;
  const auto bits = std::bit_cast<uint32_t>(logit == 0.0f ? 0.0f : logit);
  const uint32_t ordered = bits >> 31 != 0 ? ~bits : bits | 0x80000000;
  return uint64_t{ordered} << 32 | ~static_cast<uint32_t>(id);
}

class LaneSampler {
 public:
  LaneSampler(size_t lanes, Dice& dice) : lanes_(lanes), dice_(dice) {}

  std::optional<TokenId> draw(const Case& c) {
    const Terms terms = terms_of(c.params);
    std::vector<float> changed(c.logits.size());
    std::vector<int32_t> counts(c.logits.size());
    const auto logits = adjusted(c.logits, c.of_draw(), terms, changed, counts);
    order_.resize(logits.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::shuffle(order_.begin(), order_.end(), dice_.engine());
    keys_.clear();
    for (size_t t = 0; t < logits.size(); ++t) keys_.push_back(key_of(logits[t], t));

    const uint64_t best = *std::max_element(keys_.begin(), keys_.end());
    if (best == 0) return std::nullopt;
    const auto best_token = static_cast<TokenId>(~static_cast<uint32_t>(best));
    if (terms.greedy) return best_token;
    weigh(logits, logits[static_cast<size_t>(best_token)], terms);
    if (const auto top_k = static_cast<uint64_t>(terms.top_k); top_k > 0) {
      keep_first([](uint64_t weight) { return weight > 0 ? 1 : 0; }, top_k);
    }
    const auto weight = [](uint64_t each) { return each; };
    if (terms.share > 0) keep_first(weight, share_of(sum_from(0, weight), terms.share));
    const uint64_t noise = noise_bits(c.seed, c.of_draw().position());
    return token_at(target_of(sum_from(0, weight), noise));
  }

 private:
  void weigh(std::span<const float> logits, float best, const Terms& terms) {
    weights_.assign(logits.size(), 0);
    for (size_t t = 0; t < logits.size(); ++t) {
      if (keys_[t] == 0) continue;
      const float x = exponent_of(logits[t], best, terms.inverse_temperature);
      if (x >= terms.least_exponent) weights_[t] = weight_of(x);
    }
  }

  // Of the tokens whose key is `least` or more.
  template <typename Measure>
  uint64_t sum_from(uint64_t least, const Measure& measure) {
    std::vector<uint64_t> sums(lanes_);
    for (size_t i = 0; i < order_.size(); ++i) {
      if (keys_[order_[i]] >= least) sums[i % lanes_] += measure(weights_[order_[i]]);
    }
    for (size_t half = lanes_ / 2; half > 0; half /= 2) {
      for (size_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    }
    return sums[0];
  }

  // The greatest key whose tokens and those before it reach `needed`, bit by bit from the top.
  template <typename Measure>
  void keep_first(const Measure& measure, uint64_t needed) {
    uint64_t least = 0;
    for (int bit = 63; bit >= 0; --bit) {
      const uint64_t higher = least | uint64_t{1} << bit;
      if (sum_from(higher, measure) >= needed) least = higher;
    }
    for (size_t t = 0; t < weights_.size(); ++t) {
      if (keys_[t] < least) weights_[t] = 0;
    }
  }

  TokenId token_at(uint64_t target) const {
    for (size_t begin = 0;; begin += lanes_) {
      std::vector<uint64_t> sums(lanes_);
      for (size_t lane = 0; lane < lanes_ && begin + lane < weights_.size(); ++lane) {
        sums[lane] = weights_[begin + lane];
      }
      for (size_t step = 1; step < lanes_; step *= 2) {
        for (size_t lane = lanes_ - 1; lane >= step; --lane) sums[lane] += sums[lane - step];
      }
      if (target >= sums.back()) {
        target -= sums.back();
        continue;
      }
      const auto found = std::upper_bound(sums.begin(), sums.end(), target);
      return static_cast<TokenId>(begin + static_cast<size_t>(found - sums.begin()));
    }
  }

  const size_t lanes_;
  Dice& dice_;
  std::vector<size_t> order_;
  std::vector<uint64_t> keys_;
  std::vector<uint64_t> weights_;
};

class AnyOrderTest : public ::testing::TestWithParam<size_t> {};

TEST_P(AnyOrderTest, DrawsTheSameTokens) {
  Dice dice(77);
  LaneSampler sampler(GetParam(), dice);
  for (int i = 0; i < 1500; ++i) {
    Case c = random_case(dice, 1 + dice.below(700));
    if (dice.chance(2)) make_odd(c, dice);
    ASSERT_EQ(sampler.draw(c), c.reference()) << "case " << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Lanes, AnyOrderTest, ::testing::Values(32, 64, 128));

}  // namespace
}  // namespace fathom::sampling
