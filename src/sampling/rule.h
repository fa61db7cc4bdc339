// The rule by which a token is drawn from one row of logits, exact to the last bit: whoever follows
// it, on whatever chip and in whatever order, draws the same token from the same logits, Terms,
// tokens, seed and position. sampler.h follows it fast on the host, reference.h plainly.
//
// It takes F32, integers of 64 bits and the upper half of their product. No FP64, no division and
// no logarithm, for the host makes Terms; and no order of additions, for what is summed are
// integers. Each F32 product, sum and difference is rounded by itself, to nearest, ties to even:
// none is fused with another. Steps 1 and 2 keep numbers below 2^-126; from step 3 on those may
// count as zero or not, for no draw depends on it.
//
// 1. Adjust. A token's logit, where it is finite, is changed in this order; what would be beyond
//    F32 becomes +-FLT_MAX.
//    - Of the prompt and the answer so far: logit * inverse_repetition_penalty where it is above
//      0, else logit * repetition_penalty; once, however often the token is there.
//    - Of the answer so far: logit - (presence_penalty + frequency_penalty * count), where `count`
//      says how often the token is there.
//    - Of logit_bias: logit + bias; entry by entry where there are several of a token.
//    - Banned, or without a bit in the mask: -infinity.
// 2. Rank. Tokens whose logit is not finite are out. A greater logit ranks first, of equal ones
//    (-0 equals 0) the lower token id. If none is left there is no token: the caller ends the
//    answer with an error. The first is the best; where `greedy`, it is drawn.
// 3. Weigh. A token's exponent is (logit - best) * inverse_temperature. Those whose exponent is
//    below least_exponent are out, which is min_p. A token weighs weight_of() its exponent, that
//    is e^exponent as a fixed-point number with 44 bits of fraction: the best 2^44, the others from
//    1 to that, so 2^18 tokens stay below 2^63 together.
// 4. top_k: the first top_k stay.
// 5. top_p: the fewest first ones stay that weigh share_of(total, share) or more, where `total` is
//    what step 4 left weighs.
// 6. Draw. `total` is what step 5 left weighs, `target` is target_of(total, noise), and `noise`
//    are the bits of noise_bits(seed, position) (noise.h), where `position` counts the tokens of
//    the answer so far. In the order of token ids, that token is drawn at which the sum of weights,
//    its own too, is first above the target.
//
// Log-probabilities are of the logits as they come, with inverse_temperature 1 and least_exponent
// kLeastExponent: ln p(token) = logit - (best + ln(total / 2^44)) in FP64, rounded to F32. A chip
// hands back best, total and logits, and the host does that.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace fathom::sampling {

using TokenId = int32_t;

// As a request has them.
struct Parameters {
  float temperature = 1.0f;         // 0: greedy; ties go to the lowest id
  float top_p = 1.0f;               // (0, 1]; 1: off
  int32_t top_k = 0;                // 0: off
  float min_p = 0.0f;               // [0, 1]; share of the most likely token's probability
  float presence_penalty = 0.0f;    // [-2, 2], OpenAI: over generated tokens
  float frequency_penalty = 0.0f;   // [-2, 2], OpenAI: over generated tokens
  float repetition_penalty = 1.0f;  // (0, ...), 1: off; over prompt and generated tokens
  std::vector<std::pair<TokenId, float>> logit_bias = {};  // added to logits; ids must be in range
};

// What one token is drawn for.
struct Draw {
  const Parameters& params;
  std::span<const TokenId> tokens;  // prompt and answer so far
  int64_t generated_from = 0;       // where in `tokens` the answer begins
  std::span<const TokenId> banned;  // may not be drawn now
  // Nor what has no bit here (token id: bit id % 32 of word id / 32); empty: all have.
  std::span<const uint32_t> mask = {};
  uint64_t seed = 0;

  std::span<const TokenId> answer() const {
    return tokens.subspan(static_cast<size_t>(generated_from));
  }
  uint64_t position() const { return answer().size(); }
};

struct TokenLogprob {
  TokenId token = 0;
  float logprob = 0.0f;                        // -infinity for a token the model rules out
  std::vector<std::pair<TokenId, float>> top;  // best first; as many as were asked for
};

// e^-30 of the best token's weight: a vocabulary of 2^18 tokens below it would have less than
// 2^-25 of all probability.
constexpr float kLeastExponent = -30.0f;

// What the rule takes of Parameters, beside logit_bias: made by the host, once.
struct Terms {
  float repetition_penalty = 1.0f;
  float inverse_repetition_penalty = 1.0f;  // 1 / repetition_penalty, 2^-126 at least
  float presence_penalty = 0.0f;
  float frequency_penalty = 0.0f;
  bool greedy = false;               // temperature 0
  float inverse_temperature = 1.0f;  // 1 / temperature, from 2^-126 to 2^60
  // ln min_p, from kLeastExponent to -2^-25, where tokens still weigh as much as the best.
  float least_exponent = kLeastExponent;
  int32_t top_k = 0;   // 0: off
  uint64_t share = 0;  // top_p * 2^64 rounded down, 1 at least; 0: off
};

Terms terms_of(const Parameters& params);

// At most 0: the logit must be finite, and none above `best`. -infinity where F32 ends.
inline float exponent_of(float logit, float best, float inverse_temperature) {
  return (logit - best) * inverse_temperature;
}

// The numbers of weight_of(). The polynomial 1 + r + r^2 q(r) has the least greatest relative
// error, 2^-28, for |r| <= 0.34662, which is a little more than ln 2 / 2, with coefficients of F32.
constexpr float kLog2E = 0x1.715476p0f;
constexpr float kRounder = 0x1.8p23f;       // adding it leaves no bits for a fraction
constexpr float kLn2High = 0x1.62e4p-1f;    // ln 2 in two parts: up to 2^7 times the first is exact
constexpr float kLn2Low = 0x1.7f7d1cp-20f;  // ln 2 - kLn2High
constexpr float kQ0 = 0x1.fffffcp-2f;
constexpr float kQ1 = 0x1.555492p-3f;
constexpr float kQ2 = 0x1.5558f2p-5f;
constexpr float kQ3 = 0x1.1239e8p-7f;
constexpr float kQ4 = 0x1.6a242cp-10f;
constexpr int kMantissaBits = 24;  // e^r * 2^24 is an integer
constexpr int kWeightBits = 44;

// e^x * 2^44 rounded down, for x from kLeastExponent to 0: off by less than 1 + 2^-23 of it.
// x = n ln 2 + r.
inline uint64_t weight_of(float x) {
  const float n = (x * kLog2E + kRounder) - kRounder;  // from -43 to 0, to the nearest
  const float r = (x - n * kLn2High) - n * kLn2Low;
  const float q = (((kQ4 * r + kQ3) * r + kQ2) * r + kQ1) * r + kQ0;
  const float e_r = (q * (r * r) + r) + 1.0f;
  const auto mantissa = static_cast<uint64_t>(static_cast<int32_t>(e_r * 0x1p24f));
  return (mantissa << (kWeightBits - kMantissaBits)) >> static_cast<int32_t>(-n);
}

__extension__ typedef unsigned __int128 Wide;

// The target of `noise` in `total`: below it where total is not 0.
inline uint64_t target_of(uint64_t total, uint64_t noise) {
  return static_cast<uint64_t>(Wide{total} * noise >> 64);
}

// total * share / 2^64, rounded up.
inline uint64_t share_of(uint64_t total, uint64_t share) {
  const Wide product = Wide{total} * share;
  return static_cast<uint64_t>(product >> 64) + (static_cast<uint64_t>(product) != 0 ? 1 : 0);
}

}  // namespace fathom::sampling
