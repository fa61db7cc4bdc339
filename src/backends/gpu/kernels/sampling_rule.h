// The rule by which tokens are drawn, src/sampling/rule.h, in the words of device code: the same
// steps and numbers, exact to the bit. Its steps' numbers are those of that header.
#pragma once

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

constexpr float kGreatestF32 = 0x1.fffffep127f;

GPU_DEVICE inline bool is_finite(float v) {
  return v >= -kGreatestF32 && v <= kGreatestF32;
}

GPU_DEVICE inline float within_f32(float v) {
  return v > kGreatestF32 ? kGreatestF32 : v < -kGreatestF32 ? -kGreatestF32 : v;
}

// Step 3: e^x * 2^44 rounded down, for x from -30 to 0.
GPU_DEVICE inline uint64_t weight_of(float x) {
  constexpr float kRounder = 0x1.8p23f;
  const float n = (x * 0x1.715476p0f + kRounder) - kRounder;
  const float r = (x - n * 0x1.62e4p-1f) - n * 0x1.7f7d1cp-20f;
  float q = 0x1.6a242cp-10f;
  q = q * r + 0x1.1239e8p-7f;
  q = q * r + 0x1.5558f2p-5f;
  q = q * r + 0x1.555492p-3f;
  q = q * r + 0x1.fffffcp-2f;
  const float e_r = (q * (r * r) + r) + 1.0f;
  const auto mantissa = static_cast<uint64_t>(static_cast<int32_t>(e_r * 0x1p24f));
  return (mantissa << 20) >> static_cast<int32_t>(-n);
}

// Step 5: total * share / 2^64, rounded up.
GPU_DEVICE inline uint64_t share_of(uint64_t total, uint64_t share) {
  return multiply_high(total, share) + (total * share != 0 ? 1 : 0);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
