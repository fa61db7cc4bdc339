// 16-bit floats and F32. On the host, for loading and converting; kernels have their own. Static,
// for files that are compiled for several instruction sets (base/lanes.h).
#pragma once

#include <cstdint>

namespace fathom::models {

static inline float bf16_to_f32(uint16_t bits) {
  return __builtin_bit_cast(float, uint32_t{bits} << 16);
}

// To nearest, ties to even. NaN stays NaN.
static inline uint16_t f32_to_bf16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return static_cast<uint16_t>(is_nan ? (bits >> 16) | 0x40u : rounded);
}

// Halves, and F8 below, without branches, so that loops vectorise.
static inline float f16_to_f32(uint16_t half) {
  const uint32_t sign = uint32_t{half & 0x8000u} << 16;
  const uint32_t magnitude = half & 0x7fffu;
  // The exponent's bias becomes 127 from 15; the product is exact, of subnormal ones too.
  const auto scaled =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude << 13) * 0x1p112f);
  const uint32_t special = 0x7f800000u | magnitude << 13;  // infinity, NaN
  return __builtin_bit_cast(float, sign | (magnitude >= 0x7c00u ? special : scaled));
}

// To nearest, ties to even; beyond the largest half, infinity.
static inline uint16_t f32_to_f16(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-14: counts of 2^-24, rounded by adding 0.5.
  const uint32_t subnormal =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) + 0.5f) - 0x3f000000u;
  const uint32_t rebiased = magnitude - 0x38000000u;
  const uint32_t normal = (rebiased + 0xfffu + ((rebiased >> 13) & 1u)) >> 13;
  uint32_t code = magnitude < 0x38800000u ? subnormal : normal;
  code = magnitude >= 0x477ff000u ? 0x7c00u : code;  // 65520 rounds to infinity
  code = magnitude > 0x7f800000u ? 0x7e00u : code;   // NaN
  return static_cast<uint16_t>(sign | code);
}

// F8 E4M3FN: no infinities, 0x7f and 0xff are NaN.
static inline float f8_to_f32(uint8_t code) {
  const uint32_t sign = uint32_t{code & 0x80u} << 24;
  const uint32_t magnitude = code & 0x7fu;
  const auto scaled = __builtin_bit_cast(
      uint32_t, __builtin_bit_cast(float, magnitude << 20) * 0x1p120f);  // bias 7 to 127
  return __builtin_bit_cast(float, sign | (magnitude == 0x7fu ? 0x7fc00000u : scaled));
}

// To nearest, ties to even; beyond 448, 448 with its sign.
static inline uint8_t f32_to_f8(float value) {
  const auto bits = __builtin_bit_cast(uint32_t, value);
  const uint32_t sign = (bits >> 24) & 0x80u;
  const uint32_t magnitude = bits & 0x7fffffffu;
  // Below 2^-6: counts of 2^-9, rounded by adding 2^14.
  const uint32_t subnormal =
      __builtin_bit_cast(uint32_t, __builtin_bit_cast(float, magnitude) + 0x1p14f) - 0x46800000u;
  const uint32_t rebiased = magnitude - 0x3c000000u;
  const uint32_t normal = (rebiased + 0x7ffffu + ((rebiased >> 20) & 1u)) >> 20;
  uint32_t code = magnitude < 0x3c800000u ? subnormal : normal;
  code = magnitude >= 0x43e00000u ? 0x7eu : code;
  code = magnitude > 0x7f800000u ? 0x7fu : code;  // NaN
  return static_cast<uint8_t>(sign | code);
}

}  // namespace fathom::models
