// AVX-512 F, BW, VL and DQ.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace fathom::cpu::FATHOM_CPU_ISA {

struct Vec {
  __m512 v;
};
constexpr int kWidth = 16;
// Largest tile of dot products whose sums stay in the 32 registers.
constexpr int kTileColumns = 3;

static inline __mmask16 first_lanes(int64_t count) {
  return static_cast<__mmask16>((1u << count) - 1);
}

static inline Vec load(const float* p) {
  return {_mm512_loadu_ps(p)};
}
static inline void store(float* p, Vec a) {
  _mm512_storeu_ps(p, a.v);
}
// The first `count` < kWidth elements, then zeros.
static inline Vec load_first(const float* p, int64_t count) {
  return {_mm512_maskz_loadu_ps(first_lanes(count), p)};
}
static inline void store_first(float* p, Vec a, int64_t count) {
  _mm512_mask_storeu_ps(p, first_lanes(count), a.v);
}
static inline Vec broadcast(float a) {
  return {_mm512_set1_ps(a)};
}
static inline float first(Vec a) {
  return _mm_cvtss_f32(_mm512_castps512_ps128(a.v));
}

static inline Vec add(Vec a, Vec b) {
  return {_mm512_add_ps(a.v, b.v)};
}
static inline Vec sub(Vec a, Vec b) {
  return {_mm512_sub_ps(a.v, b.v)};
}
static inline Vec mul(Vec a, Vec b) {
  return {_mm512_mul_ps(a.v, b.v)};
}
static inline Vec div(Vec a, Vec b) {
  return {_mm512_div_ps(a.v, b.v)};
}
// a * b + c, rounded once.
static inline Vec fma(Vec a, Vec b, Vec c) {
  return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
// Of a number and NaN these give b.
static inline Vec maximum(Vec a, Vec b) {
  return {_mm512_max_ps(a.v, b.v)};
}
static inline Vec minimum(Vec a, Vec b) {
  return {_mm512_min_ps(a.v, b.v)};
}

// Halves, quarters, ...: always in this order.
static inline float reduce_add(Vec a) {
  const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 sum = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  sum = _mm_add_ps(sum, _mm_movehl_ps(sum, sum));
  return _mm_cvtss_f32(_mm_add_ss(sum, _mm_movehdup_ps(sum)));
}
// out[i] = reduce_add(a[i]), with the same additions: halves of two vectors become one vector,
// then quarters of four, eighths of eight.
[[gnu::always_inline]] static inline void reduce_add_8(const Vec (&a)[8], float* out) {
  const auto halves = [](Vec low, Vec high) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(low.v, high.v, 0x44),
                         _mm512_shuffle_f32x4(low.v, high.v, 0xee));
  };
  const auto quarters = [](__m512 low, __m512 high) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(low, high, 0x88),
                         _mm512_shuffle_f32x4(low, high, 0xdd));
  };
  // Lanes 4i to 4i + 3 of the first are parts of a[i]'s sum, of the second of a[4 + i]'s.
  const __m512 low = quarters(halves(a[0], a[1]), halves(a[2], a[3]));
  const __m512 high = quarters(halves(a[4], a[5]), halves(a[6], a[7]));
  const __m512 pairs =
      _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x44), _mm512_shuffle_ps(low, high, 0xee));
  const __m512 sums =
      _mm512_add_ps(_mm512_shuffle_ps(pairs, pairs, 0x88), _mm512_shuffle_ps(pairs, pairs, 0xdd));
  // Lane 4i of the sums is a[i]'s, lane 4i + 1 is a[4 + i]'s.
  const __m256 both =
      _mm256_unpacklo_ps(_mm512_castps512_ps256(sums), _mm512_extractf32x8_ps(sums, 1));
  const __m128 even = _mm256_castps256_ps128(both), odd = _mm256_extractf128_ps(both, 1);
  _mm_storeu_ps(out, _mm_unpacklo_ps(even, odd));
  _mm_storeu_ps(out + 4, _mm_unpackhi_ps(even, odd));
}
// Lane j of a[i] goes to lane i of a[j].
static inline void transpose(Vec (&a)[16]) {
  // of_fours[q][c], lanes 4j to 4j + 3: lane 4j + c of a[4q] to a[4q + 3].
  __m512 of_fours[4][4];
  for (int q = 0; q < 4; ++q) {
    const Vec* four = a + 4 * q;
    const __m512 low[] = {_mm512_unpacklo_ps(four[0].v, four[1].v),
                          _mm512_unpacklo_ps(four[2].v, four[3].v)};
    const __m512 high[] = {_mm512_unpackhi_ps(four[0].v, four[1].v),
                           _mm512_unpackhi_ps(four[2].v, four[3].v)};
    of_fours[q][0] = _mm512_shuffle_ps(low[0], low[1], 0x44);
    of_fours[q][1] = _mm512_shuffle_ps(low[0], low[1], 0xee);
    of_fours[q][2] = _mm512_shuffle_ps(high[0], high[1], 0x44);
    of_fours[q][3] = _mm512_shuffle_ps(high[0], high[1], 0xee);
  }
  for (int c = 0; c < 4; ++c) {
    const __m512 even[] = {_mm512_shuffle_f32x4(of_fours[0][c], of_fours[1][c], 0x88),
                           _mm512_shuffle_f32x4(of_fours[2][c], of_fours[3][c], 0x88)};
    const __m512 odd[] = {_mm512_shuffle_f32x4(of_fours[0][c], of_fours[1][c], 0xdd),
                          _mm512_shuffle_f32x4(of_fours[2][c], of_fours[3][c], 0xdd)};
    a[c] = {_mm512_shuffle_f32x4(even[0], even[1], 0x88)};
    a[4 + c] = {_mm512_shuffle_f32x4(odd[0], odd[1], 0x88)};
    a[8 + c] = {_mm512_shuffle_f32x4(even[0], even[1], 0xdd)};
    a[12 + c] = {_mm512_shuffle_f32x4(odd[0], odd[1], 0xdd)};
  }
}
static inline float reduce_max(Vec a) {
  const __m256 half = _mm256_max_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
  __m128 top = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  top = _mm_max_ps(top, _mm_movehl_ps(top, top));
  return _mm_cvtss_f32(_mm_max_ss(top, _mm_movehdup_ps(top)));
}

static inline Vec load_bf16(const uint16_t* p) {
  const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}

static inline Vec load_i8(const int8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes))};
}
// Two a byte, the even one in the low half, each less 8.
static inline Vec load_i4(const uint8_t* p) {
  const __m128i pairs = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  const __m128i even = _mm_and_si128(pairs, _mm_set1_epi8(15));
  const __m128i odd = _mm_and_si128(_mm_srli_epi16(pairs, 4), _mm_set1_epi8(15));
  const __m128i biased = _mm_unpacklo_epi8(even, odd);
  return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_sub_epi8(biased, _mm_set1_epi8(8))))};
}

// E4M3 shifted into the fields of a half float reads as its value / 2^8, subnormal numbers too. The
// codes of NaN read as 480.
constexpr float kFp8Factor = 256.0f;
static inline Vec load_fp8(const uint8_t* p) {
  const __m256i codes = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  // The sign was extended over bits 14 and 15; bit 14 is the half's top exponent bit.
  return {_mm512_cvtph_ps(_mm256_and_si256(_mm256_slli_epi16(codes, 7),
                                           _mm256_set1_epi16(static_cast<int16_t>(0xbfff))))};
}

static inline Vec round_to_int(Vec a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT)};
}
// 2^a for whole a in [-126, 127].
static inline Vec power_of_two(Vec a) {
  const __m512i biased = _mm512_add_epi32(_mm512_cvtps_epi32(a.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(biased, 23))};
}
// a, but 0 where x < limit.
static inline Vec zero_where_less(Vec a, Vec x, Vec limit) {
  const __mmask16 less = _mm512_cmp_ps_mask(x.v, limit.v, _CMP_LT_OQ);
  return {_mm512_mask_mov_ps(a.v, less, _mm512_setzero_ps())};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
