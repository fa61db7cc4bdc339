#include "sampling/rule.h"

#include <algorithm>
#include <cmath>

namespace fathom::sampling {
namespace {

// Where numbers below 2^-126 count as zero, exponents change by less than what any weight shows.
constexpr float kLeastFactor = 0x1p-126f;
constexpr float kGreatestInverseTemperature = 0x1p60f;
constexpr float kNearBest = -0x1p-25f;

float least_exponent_of(float min_p) {
  if (min_p <= 0.0f) return kLeastExponent;
  const auto exponent = static_cast<float>(std::log(static_cast<double>(min_p)));
  return std::clamp(exponent, kLeastExponent, kNearBest);
}

uint64_t share_of_top_p(float top_p) {
  if (top_p >= 1.0f) return 0;
  return std::max<uint64_t>(1, static_cast<uint64_t>(std::ldexp(static_cast<double>(top_p), 64)));
}

}  // namespace

Terms terms_of(const Parameters& params) {
  return {.repetition_penalty = params.repetition_penalty,
          .inverse_repetition_penalty = std::max(1.0f / params.repetition_penalty, kLeastFactor),
          .presence_penalty = params.presence_penalty,
          .frequency_penalty = params.frequency_penalty,
          .greedy = params.temperature == 0.0f,
          .inverse_temperature =
              std::clamp(1.0f / params.temperature, kLeastFactor, kGreatestInverseTemperature),
          .least_exponent = least_exponent_of(params.min_p),
          .top_k = std::max(params.top_k, 0),
          .share = share_of_top_p(params.top_p)};
}

}  // namespace fathom::sampling
