// Work that does nothing but what is to be measured: loads, or products on registers, with enough
// independent sums to hide an instruction's latency.
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/vec/vec.h"
#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

constexpr int kSums = 10;

// Makes the compiler believe that a value is used, and that it may have changed.
template <typename T>
inline void keep(T& value) {
  if constexpr (__is_class(T)) {  // an emulated register
    asm volatile("" : "+m"(value));
  } else {
#if defined(__x86_64__)
    asm volatile("" : "+x"(value));
#else
    asm volatile("" : "+w"(value));
#endif
  }
}

// `rounds` rounds of sum = step(sum) on each of kSums sums.
template <typename Register, typename Step>
inline void repeat(int64_t rounds, Register zero, const Step& step) {
  // Unrolled, or the compiler would keep the sums in memory.
  Register sums[kSums];
#pragma GCC unroll 16
  for (int s = 0; s < kSums; ++s) sums[s] = zero;
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 16
    for (int s = 0; s < kSums; ++s) sums[s] = step(sums[s]);
#pragma GCC unroll 16
    for (int s = 0; s < kSums; ++s) keep(sums[s]);
  }
}

}  // namespace

void read_range(const float* from, int64_t count) {
  constexpr int kStreams = 4;
  Vec sums[kStreams];
  for (auto& sum : sums) sum = broadcast(0.0f);
  for (int64_t i = 0; i + kStreams * kWidth <= count; i += kStreams * kWidth) {
    for (int j = 0; j < kStreams; ++j) sums[j] = maximum(sums[j], load(from + i + j * kWidth));
  }
  for (auto& sum : sums) keep(sum.v);
}

#if defined(__AVX512VNNI__)

int64_t multiply_int8(int64_t rounds) {
  __m512i a = _mm512_set1_epi8(3);
  __m512i b = _mm512_set1_epi8(5);
  keep(a);
  keep(b);
  repeat(rounds, _mm512_setzero_si512(),
         [&](__m512i sum) { return _mm512_dpbusd_epi32(sum, a, b); });
  return rounds * kSums * 64 * 2;
}

#elif defined(__AVX2__)

// The shortest way from int8 to int32 sums without VNNI: products of pairs in 16 bits, then in 32.
int64_t multiply_int8(int64_t rounds) {
  __m256i a = _mm256_set1_epi8(3);
  __m256i b = _mm256_set1_epi8(5);
  __m256i ones = _mm256_set1_epi16(1);
  keep(a);
  keep(b);
  keep(ones);
  repeat(rounds, _mm256_setzero_si256(), [&](__m256i sum) {
    __m256i pairs = _mm256_maddubs_epi16(a, b);
    keep(pairs);  // or it would be computed once
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
  });
  return rounds * kSums * 32 * 2;
}

#elif defined(__ARM_FEATURE_MATMUL_INT8)

// Each instruction multiplies a matrix of 2 x 8 bytes with one of 8 x 2.
int64_t multiply_int8(int64_t rounds) {
  uint8x16_t a = vdupq_n_u8(3);
  int8x16_t b = vdupq_n_s8(5);
  keep(a);
  keep(b);
  repeat(rounds, vdupq_n_s32(0), [&](int32x4_t sum) { return vusmmlaq_s32(sum, a, b); });
  return rounds * kSums * 32 * 2;
}

#elif defined(__ARM_FEATURE_DOTPROD)

int64_t multiply_int8(int64_t rounds) {
  int8x16_t a = vdupq_n_s8(3);
  int8x16_t b = vdupq_n_s8(5);
  keep(a);
  keep(b);
  repeat(rounds, vdupq_n_s32(0), [&](int32x4_t sum) { return vdotq_s32(sum, a, b); });
  return rounds * kSums * 16 * 2;
}

#else

int64_t multiply_int8(int64_t) {
  return 0;
}

#endif

#if defined(__AVX512BF16__)

int64_t multiply_bf16(int64_t rounds) {
  __m512i bits = _mm512_set1_epi16(0x3f80);
  keep(bits);
  const __m512bh ones = reinterpret_cast<__m512bh&>(bits);
  repeat(rounds, _mm512_setzero_ps(),
         [&](__m512 sum) { return _mm512_dpbf16_ps(sum, ones, ones); });
  return rounds * kSums * 32 * 2;
}

#elif defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC)

// Each instruction multiplies a matrix of 2 x 4 numbers with one of 4 x 2.
int64_t multiply_bf16(int64_t rounds) {
  uint16x8_t bits = vdupq_n_u16(0x3f80);
  keep(bits);
  const bfloat16x8_t ones = vreinterpretq_bf16_u16(bits);
  repeat(rounds, vdupq_n_f32(0), [&](float32x4_t sum) { return vbfmmlaq_f32(sum, ones, ones); });
  return rounds * kSums * 16 * 2;
}

#else

// Without bf16 products, bf16 weights are widened and multiplied in F32.
int64_t multiply_bf16(int64_t rounds) {
  Vec a = broadcast(1.0f);
  Vec b = broadcast(1e-6f);
  keep(a.v);
  keep(b.v);
  repeat(rounds, broadcast(0.0f).v, [&](auto sum) { return fma(a, b, Vec{sum}).v; });
  return rounds * kSums * kWidth * 2;
}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
