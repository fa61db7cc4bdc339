// Loads of 16, 8 and 4 bits an element into vec_128.h's vectors by NEON, which all aarch64
// processors have. Of the plain ones the compiler makes a scalar load and a move for each element,
// or sees one vector instruction in them too late to unroll the loops around it.
#pragma once

#include "backends/cpu/native/vec/vec_128.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

static inline Vec load_bf16(const uint16_t* p) {
  return {vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16))};
}

// And once more in the high half.
static inline int8x8_t load_four_bytes(const void* p) {
  int32_t four;
  memcpy(&four, p, sizeof(four));
  return vreinterpret_s8_s32(vdup_n_s32(four));
}

static inline Vec load_i8(const int8_t* p) {
  const int16x8_t wide = vmovl_s8(load_four_bytes(p));
  return {vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)))};
}
// Two a byte, the even one in the low half, each less 8.
static inline Vec load_i4(const uint8_t* p) {
  uint16_t all;
  memcpy(&all, p, sizeof(all));
  const uint16x4_t each = vshl_u16(vdup_n_u16(all), int16x4_t{0, -4, -8, -12});
  const uint16x4_t biased = vand_u16(each, vdup_n_u16(15));
  return {vcvtq_f32_s32(vsubl_s16(vreinterpret_s16_u16(biased), vdup_n_s16(8)))};
}

// E4M3 shifted into the fields of a half float reads as its value / 2^8, subnormal numbers too. The
// codes of NaN read as 480.
constexpr float kFp8Factor = 256.0f;
static inline Vec load_fp8(const uint8_t* p) {
  // The sign is extended over bits 14 and 15; bit 14 is the half's top exponent bit.
  const int16x4_t codes = vget_low_s16(vshll_n_s8(load_four_bytes(p), 7));
  return {vcvt_f32_f16(vreinterpret_f16_s16(vbic_s16(codes, vdup_n_s16(0x4000))))};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
