// The compiler's own vectors: any processor, at whatever speed the compiler makes of it.
#pragma once

#include <cstdint>
#include <cstring>

namespace fathom::cpu::FATHOM_CPU_ISA {

using Floats = float __attribute__((vector_size(16)));
using Ints = int32_t __attribute__((vector_size(16)));

struct Vec {
  Floats v;
};
constexpr int kWidth = 4;
// Largest tile of dot products whose sums stay in 16 registers.
constexpr int kTileColumns = 3;

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
#ifdef __FP_FAST_FMAF
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

static inline Vec load_bf16(const uint16_t* p) {
  Ints bits;
  for (int i = 0; i < kWidth; ++i) bits[i] = static_cast<int32_t>(uint32_t{p[i]} << 16);
  return as_floats(bits);
}

static inline Vec load_i8(const int8_t* p) {
  Vec a;
  for (int i = 0; i < kWidth; ++i) a.v[i] = p[i];
  return a;
}
// Two a byte, the even one in the low half, each less 8.
static inline Vec load_i4(const uint8_t* p) {
  Vec a;
  for (int i = 0; i < kWidth; ++i) {
    a.v[i] = static_cast<float>(((p[i / 2] >> (i % 2 * 4)) & 15) - 8);
  }
  return a;
}

// E4M3 shifted into the fields of a float reads as its value / 2^120, subnormal numbers too.
constexpr float kFp8Factor = 1.0f;
static inline Vec load_fp8(const uint8_t* p) {
  Ints codes;
  for (int i = 0; i < kWidth; ++i) codes[i] = static_cast<int8_t>(p[i]);
  const Ints magnitude = (codes & 0x7f) << 20;
  const Vec value = mul(as_floats(magnitude), broadcast(0x1p120f));
  const Ints nan = ((codes & 0x7f) == 0x7f) & 0x7fc00000;
  const Ints sign = codes & static_cast<int32_t>(0x80000000);
  Ints bits;
  memcpy(&bits, &value.v, sizeof(bits));
  return as_floats(bits | nan | sign);
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
