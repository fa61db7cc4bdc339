// What NEON adds to the compiler's own integer vectors: products of bytes, four a lane.
#pragma once

#include <arm_neon.h>

#include "backends/cpu/native/vec/ints_128.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

static inline int8x16_t bytes_of(Ints a) {
  return vreinterpretq_s8_s32(int32x4_t(a));
}

#if defined(__ARM_FEATURE_MATMUL_INT8)
// Each lane: sum plus its four products of an unsigned byte of a and a signed one of b.
static inline Ints add_products(Ints sum, Ints a, Ints b) {
  const uint8x16_t unsigned_bytes = vreinterpretq_u8_s8(bytes_of(a));
  return Ints(vusdotq_s32(int32x4_t(sum), unsigned_bytes, bytes_of(b)));
}
#else
// Each lane: sum plus its four products of a signed byte of a and one of b.
static inline Ints add_products(Ints sum, Ints a, Ints b) {
  return Ints(vdotq_s32(int32x4_t(sum), bytes_of(a), bytes_of(b)));
}
// Unsigned bytes, each less 128.
static inline Ints to_signed_bytes(Ints a) {
  return a ^ static_cast<int32_t>(0x80808080);
}
#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
