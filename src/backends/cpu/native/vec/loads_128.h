// Loads of 16, 8 and 4 bits an element into vec_128.h's vectors, in plain C++.
#pragma once

#include "backends/cpu/native/vec/vec_128.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

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

// E4M3 shifted into the fields of a float reads as its value / 2^120, subnormal numbers too. The
// codes of NaN read as 480.
constexpr float kFp8Factor = 1.0f;
static inline Vec load_fp8(const uint8_t* p) {
  Ints codes;
  for (int i = 0; i < kWidth; ++i) codes[i] = static_cast<int8_t>(p[i]);
  const Ints magnitude = (codes & 0x7f) << 20;
  const Vec value = mul(as_floats(magnitude), broadcast(0x1p120f));
  const Ints sign = codes & static_cast<int32_t>(0x80000000);
  Ints bits;
  memcpy(&bits, &value.v, sizeof(bits));
  return as_floats(bits | sign);
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
