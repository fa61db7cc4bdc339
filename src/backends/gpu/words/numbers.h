// Arithmetic of device code in plain C++, the same bits in every dialect.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "backends/gpu/words/types.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

GPU_DEVICE inline float float_of(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof(value));
  return value;
}

GPU_DEVICE inline uint32_t bits_of(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof(bits));
  return bits;
}

GPU_DEVICE inline float widen(float v) {
  return v;
}

GPU_DEVICE inline float widen(bf16 v) {
  return float_of(static_cast<uint32_t>(v.bits) << 16);
}

GPU_DEVICE inline float widen(int8_t v) {
  return static_cast<float>(v);
}

// Sign, exponent and fraction where F16 has them, whose exponent has a bias 8 greater.
GPU_DEVICE inline float widen(e4m3 v) {
  const uint32_t sign = static_cast<uint32_t>(v.bits & 0x80) << 24;
  const uint32_t rest = v.bits & 0x7f;
  if (rest == 0x7f) return float_of(sign | 0x7fc00000);  // NaN
  // As an F32 whose exponent is 120 too small; the product is exact, of subnormals too.
  return float_of(sign | rest << 20) * 0x1p120f;
}

template <typename T, int N>
GPU_DEVICE inline Vec<float, N> widen(const Vec<T, N>& v) {
  Vec<float, N> wide;
  for (int i = 0; i < N; ++i) wide[i] = widen(v[i]);
  return wide;
}

template <typename T>
GPU_DEVICE inline T narrow(float v);

template <>
GPU_DEVICE inline float narrow<float>(float v) {
  return v;
}

// To nearest, ties to even.
template <>
GPU_DEVICE inline bf16 narrow<bf16>(float v) {
  const uint32_t bits = bits_of(v);
  if (v != v) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}

template <typename T, int N>
GPU_DEVICE inline Vec<T, N> narrow(const Vec<float, N>& v) {
  Vec<T, N> narrowed;
  for (int i = 0; i < N; ++i) narrowed[i] = narrow<T>(v[i]);
  return narrowed;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
