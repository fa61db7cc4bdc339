// The compiler's own vectors: any processor, at whatever speed the compiler makes of it.
#pragma once

#include <cstdint>
#include <cstring>
#if defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace fathom::cpu::FATHOM_CPU_ISA {

using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));

struct Vec {
  Floats v;
};
constexpr int kWidth = 4;
// Largest tile of dot products whose sums stay in the registers: 32 or at least 16.
#if defined(__aarch64__)
constexpr int kTileColumns = 6;
#else
constexpr int kTileColumns = 3;
#endif

static inline Vec load(const float* p) {
  Vec a;
  memcpy(&a.v, p, sizeof(a.v));
  return a;
}
static inline void store(float* p, Vec a) {
  memcpy(p, &a.v, sizeof(a.v));
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
  return {Floats{a, a, a, a}};
}
static inline float first(Vec a) {
  return a.v[0];
}

static inline Vec add(Vec a, Vec b) {
  return {a.v + b.v};
}
static inline Vec sub(Vec a, Vec b) {
  return {a.v - b.v};
}
static inline Vec mul(Vec a, Vec b) {
  return {a.v * b.v};
}
static inline Vec div(Vec a, Vec b) {
  return {a.v / b.v};
}
// a * b + c: rounded once where the processor does that in one instruction.
static inline Vec fma(Vec a, Vec b, Vec c) {
#if defined(__aarch64__)
  return {vfmaq_f32(c.v, a.v, b.v)};
#elif defined(__FP_FAST_FMAF)
  Vec result;
  for (int i = 0; i < kWidth; ++i) result.v[i] = __builtin_fmaf(a.v[i], b.v[i], c.v[i]);
  return result;
#else
  return {a.v * b.v + c.v};
#endif
}
// Of a number and NaN these give b.
static inline Vec maximum(Vec a, Vec b) {
  return {a.v > b.v ? a.v : b.v};
}
static inline Vec minimum(Vec a, Vec b) {
  return {a.v < b.v ? a.v : b.v};
}

// (0+2) + (1+3): always in this order.
static inline float reduce_add(Vec a) {
  return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]);
}
static inline float reduce_max(Vec a) {
  float top = a.v[0];
  for (int i = 1; i < kWidth; ++i) top = a.v[i] > top ? a.v[i] : top;
  return top;
}

static inline Vec as_floats(Ints bits) {
  Vec a;
  memcpy(&a.v, &bits, sizeof(bits));
  return a;
}

// Exact for |a| < 2^22, where adding this leaves no bits for a fraction.
static inline Vec round_to_int(Vec a) {
  const Vec shift = broadcast(0x1.8p23f);
  return sub(add(a, shift), shift);
}
// 2^a for whole a in [-126, 127].
static inline Vec power_of_two(Vec a) {
  Ints bits;
  // NaN has no whole number; the product with it is NaN whatever stands here.
  for (int i = 0; i < kWidth; ++i) {
    bits[i] = a.v[i] == a.v[i] ? (static_cast<int32_t>(a.v[i]) + 127) << 23 : 0;
  }
  return as_floats(bits);
}
// a, but 0 where x < limit.
static inline Vec zero_where_less(Vec a, Vec x, Vec limit) {
  Ints bits;
  memcpy(&bits, &a.v, sizeof(bits));
  return as_floats(bits & ~Ints(x.v < limit.v));
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
