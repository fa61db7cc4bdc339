// Integer vectors for packed weights.
#pragma once

#include "backends/cpu/native/vec/vec.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

struct Ints {
  __m256i v;
};

static inline Ints load_ints(const void* p) {
  return {_mm256_loadu_si256(static_cast<const __m256i*>(p))};
}
static inline void store_ints(int32_t* p, Ints a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), a.v);
}
static inline Ints broadcast_int(int32_t a) {
  return {_mm256_set1_epi32(a)};
}
static inline Ints sum_of(Ints a, Ints b) {
  return {_mm256_add_epi32(a.v, b.v)};
}
static inline Vec to_floats(Ints a) {
  return {_mm256_cvtepi32_ps(a.v)};
}
// Of whole numbers.
static inline Ints to_ints(Vec a) {
  return {_mm256_cvtps_epi32(a.v)};
}

// Of numbers that fit a byte.
static inline void store_bytes(int8_t* p, Ints a) {
  int32_t whole[kWidth];
  store_ints(whole, a);
  for (int i = 0; i < kWidth; ++i) p[i] = static_cast<int8_t>(whole[i]);
}

// Of the 4 unsigned bytes of each lane: the first and third, and the second and fourth, in 16 bits.
static inline Ints even_bytes(Ints a) {
  return {_mm256_and_si256(a.v, _mm256_set1_epi16(0xff))};
}
static inline Ints odd_bytes(Ints a) {
  return {_mm256_srli_epi16(a.v, 8)};
}
// Of 8 unsigned values of 4 bits: the first of each byte, in bytes, and the second.
static inline Ints low_halves(Ints a) {
  return {_mm256_and_si256(a.v, _mm256_set1_epi8(15))};
}
static inline Ints high_halves(Ints a) {
  return low_halves({_mm256_srli_epi16(a.v, 4)});
}

// Each lane: the sum of its two products of 16-bit numbers.
static inline Ints multiply_pairs(Ints a, Ints b) {
  return {_mm256_madd_epi16(a.v, b.v)};
}
// In each half of a lane: the sum of its two products of an unsigned byte of a and a signed one of
// b, which must fit 16 bits.
static inline Ints multiply_bytes(Ints a, Ints b) {
  return {_mm256_maddubs_epi16(a.v, b.v)};
}
static inline Ints add_halves(Ints a, Ints b) {
  return {_mm256_add_epi16(a.v, b.v)};
}

static inline Vec load_f16(const uint8_t* p) {
  return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
