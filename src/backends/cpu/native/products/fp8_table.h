// E4M3 by table, 64 numbers at once: for processors that look up bytes in tables of 128 (VBMI).
// Half the work of loads that shift each code into a float's fields.
#pragma once

#include "backends/cpu/native/vec/vec.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_VBMI

struct Fp8Tables {
  constexpr Fp8Tables() {
    for (int code = 0; code < 128; ++code) {
      high[code] = static_cast<uint8_t>(bf16_of(code) >> 8);
      low[code] = static_cast<uint8_t>(bf16_of(code));
    }
    // Bytes become bf16 within groups of 16, which then become floats, the even and the odd ones of
    // the group's halves; so that these follow each other, the codes are put in this order.
    for (int i = 0; i < 64; ++i) {
      const int group = i / 16, half = i % 16 / 8, pair = i % 8 / 2, odd = i % 2;
      places[i] = static_cast<uint8_t>(32 * half + 16 * odd + 4 * group + pair);
    }
  }

  // Of a code without its sign, divided by kFp8Factor; 0x7f is NaN.
  static constexpr int bf16_of(int code) {
    constexpr int kBias = 127 - 7 - 8;  // 2^8 is kFp8Factor
    if (code == 0x7f) return 0x7fc0;
    if (code >= 8) return ((code >> 3) + kBias) << 7 | (code & 7) << 4;
    if (code == 0) return 0;
    const int shift = code >= 4 ? 1 : code >= 2 ? 2 : 3;  // to a mantissa that begins with 1
    return (1 + kBias - shift) << 7 | ((code << shift) & 7) << 4;
  }

  alignas(64) uint8_t high[128] = {};
  alignas(64) uint8_t low[128] = {};
  alignas(64) uint8_t places[64] = {};
};
static_assert(kFp8Factor == 256.0f);
inline constexpr Fp8Tables kFp8Tables;

// The halves of 64 codes as bf16 divided by kFp8Factor, the codes of NaN as NaN: bytes that
// _mm512_unpack*_epi8 puts together within groups of 16.
struct Fp8Bytes {
  __m512i low, high;
};
[[gnu::always_inline]] static inline Fp8Bytes look_up_fp8(__m512i codes) {
  const auto look_up = [&](const uint8_t* table) __attribute__((always_inline)) {
    return _mm512_permutex2var_epi8(_mm512_loadu_si512(table), codes,
                                    _mm512_loadu_si512(table + 64));
  };
  // high | (codes & 0x80)
  const __m512i high = _mm512_ternarylogic_epi32(
      look_up(kFp8Tables.high), codes, _mm512_set1_epi32(static_cast<int>(0x80808080)), 0xf8);
  return {look_up(kFp8Tables.low), high};
}

// 4 * kWidth numbers, each divided by kFp8Factor; the codes of NaN are NaN.
[[gnu::always_inline]] static inline void load_fp8_block(const uint8_t* p, Vec (&out)[4]) {
  const auto [low, high] = look_up_fp8(
      _mm512_permutexvar_epi8(_mm512_loadu_si512(kFp8Tables.places), _mm512_loadu_si512(p)));
  const __m512i halves[] = {_mm512_unpacklo_epi8(low, high), _mm512_unpackhi_epi8(low, high)};
  unrolled<2>([&](auto half) __attribute__((always_inline)) {
    const __m512i pairs = halves[half.value];
    out[2 * half.value] = {_mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16))};
    out[2 * half.value + 1] = {_mm512_castsi512_ps(
        _mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000))))};
  });
}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
