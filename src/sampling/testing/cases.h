// Rows of logits and what is drawn from them with, for the tests of this folder.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <random>
#include <vector>

#include "sampling/reference.h"
#include "sampling/sampler.h"

namespace fathom::sampling {

struct Case {
  std::vector<float> logits;
  Parameters params;
  std::vector<TokenId> tokens;
  int64_t generated_from = 0;
  std::vector<TokenId> banned;
  std::vector<uint32_t> mask;
  uint64_t seed = 1;

  Draw of_draw() const {
    return {.params = params,
            .tokens = tokens,
            .generated_from = generated_from,
            .banned = banned,
            .mask = mask,
            .seed = seed};
  }
  std::optional<TokenId> draw(SamplerScratch& scratch) const {
    return sample(logits, of_draw(), scratch);
  }
  std::optional<TokenId> draw() const {
    SamplerScratch scratch(static_cast<int64_t>(logits.size()));
    return draw(scratch);
  }
  std::optional<TokenId> reference() const { return reference_sample(logits, of_draw()); }
};

class Dice {
 public:
  explicit Dice(uint64_t seed) : random_(seed) {}

  uint64_t below(uint64_t end) { return random_() % end; }
  uint64_t bits() { return random_(); }
  bool chance(uint64_t one_in) { return below(one_in) == 0; }
  float real(double low, double high) {
    return static_cast<float>(std::uniform_real_distribution<double>(low, high)(random_));
  }
  std::mt19937_64& engine() { return random_; }

 private:
  std::mt19937_64 random_;
};

// Every parameter is at work in some; logits are finite, half of the time with many ties.
inline Case random_case(Dice& dice, size_t vocab) {
  Case c;
  const bool coarse = dice.chance(2);
  for (size_t t = 0; t < vocab; ++t) {
    const float logit = dice.real(-6, 6);
    c.logits.push_back(coarse ? std::round(logit) : logit);
  }
  const auto token = [&] { return static_cast<TokenId>(dice.below(vocab)); };
  for (size_t i = dice.below(40); i > 0; --i) c.tokens.push_back(token());
  c.generated_from = static_cast<int64_t>(dice.below(c.tokens.size() + 1));
  c.seed = dice.bits();
  c.params.temperature = dice.chance(6) ? 0.0f : dice.real(0.05, 3);
  if (dice.chance(2)) c.params.top_p = dice.real(0.01, 1);
  if (dice.chance(2)) c.params.top_k = static_cast<int32_t>(dice.below(vocab + 5));
  if (dice.chance(3)) c.params.min_p = dice.real(0, 0.6);
  if (dice.chance(3)) c.params.presence_penalty = dice.real(-2, 2);
  if (dice.chance(3)) c.params.frequency_penalty = dice.real(-2, 2);
  if (dice.chance(3)) c.params.repetition_penalty = dice.real(0.5, 2);
  for (size_t i = dice.chance(3) ? 4 : 0; i > 0; --i) {
    c.params.logit_bias.emplace_back(token(), dice.real(-8, 8));
  }
  if (dice.chance(4)) c.banned.push_back(token());
  return c;
}

// What a row may have beside that: masks, logits that are not finite, steep and flat rows, numbers
// at the ends of F32, parameters at the ends of their ranges.
inline void make_odd(Case& c, Dice& dice) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  constexpr float kGreatest = std::numeric_limits<float>::max();
  constexpr float kOdd[] = {kInfinite, -kInfinite, std::numeric_limits<float>::quiet_NaN(),
                            kGreatest, -kGreatest, 0.0f,
                            -0.0f,     0x1p-140f,  -0x1p-149f};
  const float factor = dice.chance(2) ? 1.0f : std::exp2(dice.real(-20, 12));
  for (float& logit : c.logits) logit *= factor;
  if (dice.chance(3)) {
    for (float& logit : c.logits) {
      if (dice.chance(3)) logit = kOdd[dice.below(std::size(kOdd))];
    }
  }
  if (dice.chance(8)) c.logits.assign(c.logits.size(), dice.real(-3, 3));
  if (dice.chance(8)) {  // one finite logit, or none
    c.logits.assign(c.logits.size(), -kInfinite);
    if (dice.chance(2)) c.logits[dice.below(c.logits.size())] = dice.real(-3, 3);
  }
  if (dice.chance(3)) {
    const uint64_t density = 1 + dice.below(4);
    c.mask.assign((c.logits.size() + 31) / 32, 0);
    for (size_t t = 0; t < c.logits.size(); ++t) {
      if (dice.below(5) >= density) c.mask[t / 32] |= 1U << t % 32;
    }
  }
  if (dice.chance(10)) c.params.temperature = dice.chance(2) ? 1e-45f : kGreatest;
  if (dice.chance(10)) c.params.top_p = std::numeric_limits<float>::min();
  if (dice.chance(10)) c.params.top_p = 0x1.fffffep-1f;
  if (dice.chance(10)) c.params.min_p = dice.chance(2) ? 1.0f : 1e-20f;
  if (dice.chance(10)) c.params.repetition_penalty = dice.chance(2) ? kGreatest : 0x1p-126f;
}

}  // namespace fathom::sampling
