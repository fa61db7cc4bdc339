// Integer vectors for packed weights; x86-64 always has SSE2's multiplication of pairs, and aarch64
// NEON.
#pragma once

#include "backends/cpu/native/vec/vec.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fathom::cpu::FATHOM_CPU_ISA {

static inline Ints load_ints(const void* p) {
  Ints a;
  memcpy(&a, p, sizeof(a));
  return a;
}
static inline void store_ints(int32_t* p, Ints a) {
  memcpy(p, &a, sizeof(a));
}
static inline Ints broadcast_int(int32_t a) {
  return Ints{a, a, a, a};
}
static inline Ints sum_of(Ints a, Ints b) {
  return a + b;
}
static inline Vec to_floats(Ints a) {
  return {__builtin_convertvector(a, Floats)};
}
// Of whole numbers.
static inline Ints to_ints(Vec a) {
  return __builtin_convertvector(a.v, Ints);
}

// Of numbers that fit a byte.
static inline void store_bytes(int8_t* p, Ints a) {
  int32_t whole[kWidth];
  store_ints(whole, a);
  for (int i = 0; i < kWidth; ++i) p[i] = static_cast<int8_t>(whole[i]);
}

// Of the 4 unsigned bytes of each lane: the first and third, and the second and fourth, in 16 bits.
static inline Ints even_bytes(Ints a) {
  return a & 0x00ff00ff;
}
static inline Ints odd_bytes(Ints a) {
  return even_bytes(a >> 8);
}
// Of 8 unsigned values of 4 bits: the first of each byte, in bytes, and the second.
static inline Ints low_halves(Ints a) {
  return a & 0x0f0f0f0f;
}
static inline Ints high_halves(Ints a) {
  return low_halves(a >> 4);
}

// Each lane: the sum of its two products of 16-bit numbers.
static inline Ints multiply_pairs(Ints a, Ints b) {
#if defined(__SSE2__)
  __m128i x, y;
  memcpy(&x, &a, sizeof(x));
  memcpy(&y, &b, sizeof(y));
  const __m128i sums = _mm_madd_epi16(x, y);
  return load_ints(&sums);
#elif defined(__aarch64__)
  const int16x8_t x = vreinterpretq_s16_s32(int32x4_t(a));
  const int16x8_t y = vreinterpretq_s16_s32(int32x4_t(b));
  const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
  return Ints(vpaddq_s32(low, vmull_high_s16(x, y)));
#else
  return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

static inline Vec load_f16(const uint8_t* p) {
#if defined(__aarch64__)
  return {vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)))};
#else
  uint16_t halves[kWidth];
  memcpy(halves, p, sizeof(halves));
  Ints magnitudes, signs;
  for (int i = 0; i < kWidth; ++i) {
    magnitudes[i] = (halves[i] & 0x7fff) << 13;
    signs[i] = static_cast<int32_t>(uint32_t{halves[i]} << 16 & 0x80000000);
  }
  // In the fields of a float the number reads as its value / 2^112, subnormal numbers too.
  const Vec value = mul(as_floats(magnitudes), broadcast(0x1p112f));
  Ints bits;
  memcpy(&bits, &value.v, sizeof(bits));
  return as_floats(bits | signs);
#endif
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
