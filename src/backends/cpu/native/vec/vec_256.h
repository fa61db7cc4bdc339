// AVX2, FMA and F16C.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace fathom::cpu::FATHOM_CPU_ISA {

struct Vec {
  __m256 v;
};
constexpr int kWidth = 8;
// Largest tile of dot products whose sums stay in the 16 registers.
constexpr int kTileColumns = 3;

static inline Vec load(const float* p) {
  return {_mm256_loadu_ps(p)};
}
static inline void store(float* p, Vec a) {
  _mm256_storeu_ps(p, a.v);
}
// The first `count` < kWidth elements, then zeros.
static inline Vec load_first(const float* p, int64_t count) {
  float padded[kWidth] = {};
  memcpy(padded, p, static_cast<size_t>(count) * sizeof(float));
  return load(padded);
}
static inline void store_first(float* p, Vec a, int64_t count) {
  float all[kWidth];
  store(all, a);
  memcpy(p, all, static_cast<size_t>(count) * sizeof(float));
}
static inline Vec broadcast(float a) {
  return {_mm256_set1_ps(a)};
}
static inline float first(Vec a) {
  return _mm256_cvtss_f32(a.v);
}

static inline Vec add(Vec a, Vec b) {
  return {_mm256_add_ps(a.v, b.v)};
}
static inline Vec sub(Vec a, Vec b) {
  return {_mm256_sub_ps(a.v, b.v)};
}
static inline Vec mul(Vec a, Vec b) {
  return {_mm256_mul_ps(a.v, b.v)};
}
static inline Vec div(Vec a, Vec b) {
  return {_mm256_div_ps(a.v, b.v)};
}
// a * b + c, rounded once.
static inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm256_fmadd_ps(a.v, b.v, c.v)};
}
// Of a number and NaN these give b.
static inline Vec maximum(Vec a, Vec b) {
  return {_mm256_max_ps(a.v, b.v)};
}
static inline Vec minimum(Vec a, Vec b) {
  return {_mm256_min_ps(a.v, b.v)};
}

// ((0+4)+(2+6)) + ((1+5)+(3+7)): always in this order.
static inline float reduce_add(Vec a) {
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
static inline float reduce_max(Vec a) {
  __m128 top = _mm_max_ps(_mm256_castps256_ps128(a.v), _mm256_extractf128_ps(a.v, 1));
  top = _mm_max_ps(top, _mm_movehl_ps(top, top));
  return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
}

static inline Vec load_bf16(const uint16_t* p) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16))};
}

static inline Vec load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes))};
}
// Two a byte, the even one in the low half, each less 8.
static inline Vec load_i4(const uint8_t* p) {
  int32_t all;
  memcpy(&all, p, sizeof(all));
  const __m256i each =
      _mm256_srlv_epi32(_mm256_set1_epi32(all), _mm256_setr_epi32(0, 4, 8, 12, 16, 20, 24, 28));
  const __m256i biased = _mm256_and_si256(each, _mm256_set1_epi32(15));
  return {_mm256_cvtepi32_ps(_mm256_sub_epi32(biased, _mm256_set1_epi32(8)))};
}

// E4M3 shifted into the fields of a half float reads as its value / 2^8, subnormal numbers too. The
// codes of NaN read as 480.
constexpr float kFp8Factor = 256.0f;
static inline Vec load_fp8(const uint8_t* p) {
  const __m128i codes = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  // The sign was extended over bits 14 and 15; bit 14 is the half's top exponent bit.
  return {_mm256_cvtph_ps(
      _mm_and_si128(_mm_slli_epi16(codes, 7), _mm_set1_epi16(static_cast<int16_t>(0xbfff))))};
}

static inline Vec round_to_int(Vec a) {
  return {_mm256_round_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}
// 2^a for whole a in [-126, 127].
static inline Vec power_of_two(Vec a) {
  const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(a.v), _mm256_set1_epi32(127));
  return {_mm256_castsi256_ps(_mm256_slli_epi32(biased, 23))};
}
// a, but 0 where x < limit.
static inline Vec zero_where_less(Vec a, Vec x, Vec limit) {
  return {_mm256_andnot_ps(_mm256_cmp_ps(x.v, limit.v, _CMP_LT_OQ), a.v)};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
