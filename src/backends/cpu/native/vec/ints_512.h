// Integer vectors for packed weights; FATHOM_CPU_VNNI tells of the instruction that sums four
// products of bytes.
#pragma once

#include "backends/cpu/native/vec/vec.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// As lanes, not as __m512i: GCC 12 copies sums twice a step where an instruction's own type of
// vector differs from that of its variable.
struct Ints {
  __v16si v;
};
static inline Ints lanes(__m512i bits) {
  return {(__v16si)bits};
}
static inline __m512i bits(Ints a) {
  return (__m512i)a.v;
}

static inline Ints load_ints(const void* p) {
  return lanes(_mm512_loadu_si512(p));
}
static inline void store_ints(int32_t* p, Ints a) {
  _mm512_storeu_si512(p, bits(a));
}
static inline Ints broadcast_int(int32_t a) {
  return lanes(_mm512_set1_epi32(a));
}
static inline Ints sum_of(Ints a, Ints b) {
  return lanes(_mm512_add_epi32(bits(a), bits(b)));
}
// The same bits.
static inline Vec as_floats(Ints a) {
  return {_mm512_castsi512_ps(bits(a))};
}
static inline Vec to_floats(Ints a) {
  return {_mm512_cvtepi32_ps(bits(a))};
}
// Of whole numbers.
static inline Ints to_ints(Vec a) {
  return lanes(_mm512_cvtps_epi32(a.v));
}

// Of numbers that fit a byte.
static inline void store_bytes(int8_t* p, Ints a) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(bits(a)));
}

// Of the 4 unsigned bytes of each lane: the first and third, and the second and fourth, in 16 bits.
static inline Ints even_bytes(Ints a) {
  return lanes(_mm512_and_si512(bits(a), _mm512_set1_epi32(0x00ff00ff)));
}
static inline Ints odd_bytes(Ints a) {
  return lanes(_mm512_srli_epi16(bits(a), 8));
}
// Of 8 unsigned values of 4 bits: the first of each byte, in bytes, and the second.
static inline Ints low_halves(Ints a) {
  return lanes(_mm512_and_si512(bits(a), _mm512_set1_epi32(0x0f0f0f0f)));
}
static inline Ints high_halves(Ints a) {
  return low_halves(lanes(_mm512_srli_epi16(bits(a), 4)));
}

// Each lane: the sum of its two products of 16-bit numbers.
static inline Ints multiply_pairs(Ints a, Ints b) {
  return lanes(_mm512_madd_epi16(bits(a), bits(b)));
}
// In each half of a lane: the sum of its two products of an unsigned byte of a and a signed one of
// b, which must fit 16 bits.
static inline Ints multiply_bytes(Ints a, Ints b) {
  return lanes(_mm512_maddubs_epi16(bits(a), bits(b)));
}
static inline Ints add_halves(Ints a, Ints b) {
  return lanes(_mm512_add_epi16(bits(a), bits(b)));
}
#if FATHOM_CPU_VNNI
// Each lane: sum plus its four products of an unsigned byte of a and a signed one of b.
static inline Ints add_products(Ints sum, Ints a, Ints b) {
  return lanes(_mm512_dpbusd_epi32(bits(sum), bits(a), bits(b)));
}
#endif

#if FATHOM_CPU_BF16
// Where the halves of each lane of pairs come from: places in a, and, from 32 on, in b.
struct PairPlaces {
  constexpr PairPlaces() {
    for (int i = 0; i < 32; ++i) {
      for (int half = 0; half < 2; ++half) {
        at[half][i] = static_cast<uint16_t>(16 * half + i / 2 + i % 2 * 32);
      }
    }
  }
  uint16_t at[2][32] = {};
};
alignas(64) inline constexpr PairPlaces kPairPlaces;

// To nearest, ties to even.
static inline __m256i narrow_bf16(Vec a) {
  return (__m256i)_mm512_cvtneps_pbh(a.v);
}
static inline void store_bf16(uint16_t* p, Vec a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), narrow_bf16(a));
}
// Each lane: the two numbers, the first in its low half.
static inline Ints pairs_of(Vec low, Vec high) {
  const __m512i second = _mm512_slli_epi32(_mm512_cvtepu16_epi32(narrow_bf16(high)), 16);
  return lanes(_mm512_or_si512(_mm512_cvtepu16_epi32(narrow_bf16(low)), second));
}
// Of 32 16-bit numbers in a and in b: pairs (a, b) of the lower 16, and of the upper 16.
static inline Ints low_pairs(Ints a, Ints b) {
  return lanes(_mm512_permutex2var_epi16(bits(a), _mm512_loadu_si512(kPairPlaces.at[0]), bits(b)));
}
static inline Ints high_pairs(Ints a, Ints b) {
  return lanes(_mm512_permutex2var_epi16(bits(a), _mm512_loadu_si512(kPairPlaces.at[1]), bits(b)));
}
// Each lane: sum plus its two products of bf16 numbers.
static inline Vec add_bf16(Vec sum, Ints a, Ints b) {
  return {_mm512_dpbf16_ps(sum.v, (__m512bh)a.v, (__m512bh)b.v)};
}
#endif

static inline Vec load_f16(const uint8_t* p) {
  return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
