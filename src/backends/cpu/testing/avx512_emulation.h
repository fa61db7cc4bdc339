// The AVX-512 instructions of native/vec/vec_512.h in plain loops, so that its kernels are tested
// on processors that lack them. Compiled before that header, in the tests' copy of the kernels
// only. Source of what each does: Intel 64 and IA-32 Architectures Software Developer's Manual,
// volume 2.
#pragma once

#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>

namespace fathom::cpu::avx512_emulation {

constexpr int kLanes = 16;

struct Floats {
  float lane[kLanes];
};
struct Ints {
  uint32_t lane[kLanes];
};
using Mask = uint16_t;

template <typename Lane>
Floats floats(Lane lane) {
  Floats result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = lane(i);
  return result;
}
template <typename Lane>
Ints ints(Lane lane) {
  Ints result;
  for (int i = 0; i < kLanes; ++i) result.lane[i] = lane(i);
  return result;
}
inline bool has(Mask mask, int lane) {
  return ((mask >> lane) & 1) != 0;
}

inline Floats load(const float* p) {
  return floats([&](int i) { return p[i]; });
}
inline Floats load_masked(Mask mask, const float* p) {
  return floats([&](int i) { return has(mask, i) ? p[i] : 0.0f; });
}
inline void store(float* p, const Floats& a) {
  std::memcpy(p, a.lane, sizeof(a.lane));
}
inline void store_masked(float* p, Mask mask, const Floats& a) {
  for (int i = 0; i < kLanes; ++i) {
    if (has(mask, i)) p[i] = a.lane[i];
  }
}
inline Floats set(float a) {
  return floats([&](int) { return a; });
}
inline Floats add(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Floats sub(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] - b.lane[i]; });
}
inline Floats mul(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] * b.lane[i]; });
}
inline Floats div(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] / b.lane[i]; });
}
inline Floats fmadd(const Floats& a, const Floats& b, const Floats& c) {
  return floats([&](int i) { return std::fma(a.lane[i], b.lane[i], c.lane[i]); });
}
// If either is NaN, or both are zeros, the second.
inline Floats max(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats min(const Floats& a, const Floats& b) {
  return floats([&](int i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
inline Floats nearest(const Floats& a, int) {
  return floats([&](int i) { return std::nearbyint(a.lane[i]); });
}
inline Mask less(const Floats& a, const Floats& b, int) {
  Mask mask = 0;
  for (int i = 0; i < kLanes; ++i) {
    mask = static_cast<Mask>(mask | ((a.lane[i] < b.lane[i] ? 1 : 0) << i));
  }
  return mask;
}
inline Floats blend(const Floats& a, Mask mask, const Floats& b) {
  return floats([&](int i) { return has(mask, i) ? b.lane[i] : a.lane[i]; });
}

// Within each four lanes: the lower two of a and b in turn, or the upper two.
inline Floats unpack_low(const Floats& a, const Floats& b) {
  return floats([&](int i) { return (i % 2 == 0 ? a : b).lane[i / 4 * 4 + i % 4 / 2]; });
}
inline Floats unpack_high(const Floats& a, const Floats& b) {
  return floats([&](int i) { return (i % 2 == 0 ? a : b).lane[i / 4 * 4 + 2 + i % 4 / 2]; });
}
// Within each four lanes, two of a and then two of b; or four lanes at once. Two bits name each.
inline Floats shuffle(const Floats& a, const Floats& b, int places) {
  return floats(
      [&](int i) { return (i % 4 < 2 ? a : b).lane[i / 4 * 4 + (places >> (2 * (i % 4)) & 3)]; });
}
inline Floats shuffle_fours(const Floats& a, const Floats& b, int places) {
  return floats(
      [&](int i) { return (i < 8 ? a : b).lane[4 * (places >> (2 * (i / 4)) & 3) + i % 4]; });
}

inline __m256 low(const Floats& a) {
  return _mm256_loadu_ps(a.lane);
}
inline __m256 high(const Floats& a, int) {
  return _mm256_loadu_ps(a.lane + 8);
}
inline __m128 lowest(const Floats& a) {
  return _mm_loadu_ps(a.lane);
}

inline Ints widen(__m256i a) {
  uint16_t lane[kLanes];
  std::memcpy(lane, &a, sizeof(lane));
  return ints([&](int i) { return uint32_t{lane[i]}; });
}
inline Ints widen_bytes(__m128i a) {
  int8_t lane[kLanes];
  std::memcpy(lane, &a, sizeof(lane));
  return ints([&](int i) { return static_cast<uint32_t>(int32_t{lane[i]}); });
}
inline Floats halves(__m256i a) {
  uint16_t lane[kLanes];
  std::memcpy(lane, &a, sizeof(lane));
  return floats([&](int i) { return _cvtsh_ss(lane[i]); });
}
inline Ints shift_left(const Ints& a, int bits) {
  return ints([&](int i) { return a.lane[i] << bits; });
}
inline Ints load_ints(const void* p) {
  Ints result;
  std::memcpy(&result, p, sizeof(result));
  return result;
}
inline void store_ints(void* p, const Ints& a) {
  std::memcpy(p, a.lane, sizeof(a.lane));
}
inline Ints and_ints(const Ints& a, const Ints& b) {
  return ints([&](int i) { return a.lane[i] & b.lane[i]; });
}
// Numbers within a lane, from its low end.
inline int16_t half_of(const Ints& a, int lane, int index) {
  return static_cast<int16_t>(a.lane[lane] >> (16 * index));
}
inline uint8_t byte_of(const Ints& a, int lane, int index) {
  return static_cast<uint8_t>(a.lane[lane] >> (8 * index));
}
inline uint32_t two_halves(int low, int high) {
  return static_cast<uint32_t>(low & 0xffff) | static_cast<uint32_t>(high) << 16;
}
inline Ints shift_halves_right(const Ints& a, int bits) {
  return ints([&](int i) {
    return two_halves((half_of(a, i, 0) & 0xffff) >> bits, (half_of(a, i, 1) & 0xffff) >> bits);
  });
}
inline Ints add_halves(const Ints& a, const Ints& b) {
  return ints([&](int i) {
    return two_halves(half_of(a, i, 0) + half_of(b, i, 0), half_of(a, i, 1) + half_of(b, i, 1));
  });
}
// The products' sum wraps where all four factors are -2^15.
inline Ints multiply_pairs(const Ints& a, const Ints& b) {
  return ints([&](int i) {
    return static_cast<uint32_t>(half_of(a, i, 0) * half_of(b, i, 0)) +
           static_cast<uint32_t>(half_of(a, i, 1) * half_of(b, i, 1));
  });
}
// Unsigned bytes of a times signed ones of b, pairs added with saturation.
inline Ints multiply_bytes(const Ints& a, const Ints& b) {
  const auto product = [&](int i, int j) {
    return byte_of(a, i, j) * static_cast<int8_t>(byte_of(b, i, j));
  };
  const auto saturated = [](int sum) { return sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum; };
  return ints([&](int i) {
    return two_halves(saturated(product(i, 0) + product(i, 1)),
                      saturated(product(i, 2) + product(i, 3)));
  });
}
// sum plus the four products of unsigned bytes of a and signed ones of b; wraps.
inline Ints add_products(const Ints& sum, const Ints& a, const Ints& b) {
  return ints([&](int i) {
    uint32_t result = sum.lane[i];
    for (int j = 0; j < 4; ++j) {
      result += static_cast<uint32_t>(byte_of(a, i, j) * static_cast<int8_t>(byte_of(b, i, j)));
    }
    return result;
  });
}
inline Ints add_ints(const Ints& a, const Ints& b) {
  return ints([&](int i) { return a.lane[i] + b.lane[i]; });
}
inline Ints set_ints(int a) {
  return ints([&](int) { return static_cast<uint32_t>(a); });
}
inline Ints to_ints(const Floats& a) {
  return ints([&](int i) {
    return static_cast<uint32_t>(static_cast<int32_t>(std::nearbyint(a.lane[i])));
  });
}
inline Floats from_ints(const Ints& a) {
  return floats([&](int i) { return static_cast<float>(static_cast<int32_t>(a.lane[i])); });
}
inline Floats as_floats(const Ints& a) {
  Floats result;
  std::memcpy(&result, &a, sizeof(result));
  return result;
}

// The 64 bytes of a vector.
struct Bytes {
  uint8_t at[4 * kLanes];
};
inline Bytes bytes_of(const Ints& a) {
  Bytes bytes;
  std::memcpy(&bytes, &a, sizeof(bytes));
  return bytes;
}
template <typename Byte>
Ints from_bytes(Byte byte) {
  Bytes bytes;
  for (int i = 0; i < 4 * kLanes; ++i) bytes.at[i] = byte(i);
  Ints result;
  std::memcpy(&result, &bytes, sizeof(result));
  return result;
}
inline Ints pick_bytes(const Ints& places, const Ints& a) {
  const Bytes from = bytes_of(a), place = bytes_of(places);
  return from_bytes([&](int i) { return from.at[place.at[i] % 64]; });
}
inline Ints pick_bytes_of_two(const Ints& a, const Ints& places, const Ints& b) {
  const Bytes low = bytes_of(a), high = bytes_of(b), place = bytes_of(places);
  return from_bytes(
      [&](int i) { return (place.at[i] % 128 < 64 ? low : high).at[place.at[i] % 64]; });
}
// Within each 16 bytes: the lower eight of a and b in turn, or the upper eight.
inline Ints unpack_low_bytes(const Ints& a, const Ints& b) {
  const Bytes even = bytes_of(a), odd = bytes_of(b);
  return from_bytes([&](int i) { return (i % 2 == 0 ? even : odd).at[i / 16 * 16 + i % 16 / 2]; });
}
inline Ints unpack_high_bytes(const Ints& a, const Ints& b) {
  const Bytes even = bytes_of(a), odd = bytes_of(b);
  return from_bytes(
      [&](int i) { return (i % 2 == 0 ? even : odd).at[i / 16 * 16 + 8 + i % 16 / 2]; });
}
// Each bit of the result is the bit of `table` that the bits of a, b and c name, a's the highest.
inline Ints logic_of_three(const Ints& a, const Ints& b, const Ints& c, int table) {
  return ints([&](int i) {
    uint32_t result = 0;
    for (int bit = 0; bit < 32; ++bit) {
      const auto of = [bit](uint32_t word) { return word >> bit & 1; };
      const uint32_t place = of(a.lane[i]) << 2 | of(b.lane[i]) << 1 | of(c.lane[i]);
      result |= (static_cast<uint32_t>(table) >> place & 1) << bit;
    }
    return result;
  });
}
inline __m128i lowest_bytes(const Ints& a) {
  alignas(16) uint8_t bytes[kLanes];
  for (int i = 0; i < kLanes; ++i) bytes[i] = byte_of(a, i, 0);
  return _mm_load_si128(reinterpret_cast<const __m128i*>(bytes));
}
inline Ints or_ints(const Ints& a, const Ints& b) {
  return ints([&](int i) { return a.lane[i] | b.lane[i]; });
}
inline __m256i to_bf16(const Floats& a) {
  alignas(32) uint16_t halves[kLanes];
  for (int i = 0; i < kLanes; ++i) {
    uint32_t bits;
    std::memcpy(&bits, &a.lane[i], sizeof(bits));
    halves[i] = static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  return _mm256_load_si256(reinterpret_cast<const __m256i*>(halves));
}
// Each 16-bit number of the result comes from a place in a, or, from 32 on, in b.
inline Ints pick_halves(const Ints& a, const Ints& places, const Ints& b) {
  const auto picked = [&](int lane, int index) {
    const int place = half_of(places, lane, index);
    return half_of(place < 32 ? a : b, place % 32 / 2, place % 2);
  };
  return ints([&](int i) { return two_halves(picked(i, 0), picked(i, 1)); });
}
// sum plus the two products of bf16 numbers, the second ones first.
inline Floats add_bf16_products(const Floats& sum, const Ints& a, const Ints& b) {
  const auto number = [](uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  };
  return floats([&](int i) {
    const float second =
        sum.lane[i] + number(a.lane[i] & 0xffff0000) * number(b.lane[i] & 0xffff0000);
    return second + number(a.lane[i] << 16) * number(b.lane[i] << 16);
  });
}

}  // namespace fathom::cpu::avx512_emulation

// The compiler's own names, from here on.
#define FATHOM_EMULATE(name) ::fathom::cpu::avx512_emulation::name
#define __m512 FATHOM_EMULATE(Floats)
#define __m512i FATHOM_EMULATE(Ints)
#define __v16si FATHOM_EMULATE(Ints)
#define __m512bh FATHOM_EMULATE(Ints)
#define __mmask16 FATHOM_EMULATE(Mask)
#define _mm512_loadu_ps FATHOM_EMULATE(load)
#define _mm512_maskz_loadu_ps FATHOM_EMULATE(load_masked)
#define _mm512_storeu_ps FATHOM_EMULATE(store)
#define _mm512_mask_storeu_ps FATHOM_EMULATE(store_masked)
#define _mm512_set1_ps FATHOM_EMULATE(set)
#define _mm512_setzero_ps() FATHOM_EMULATE(set)(0.0f)
#define _mm512_add_ps FATHOM_EMULATE(add)
#define _mm512_sub_ps FATHOM_EMULATE(sub)
#define _mm512_mul_ps FATHOM_EMULATE(mul)
#define _mm512_div_ps FATHOM_EMULATE(div)
#define _mm512_fmadd_ps FATHOM_EMULATE(fmadd)
#define _mm512_max_ps FATHOM_EMULATE(max)
#define _mm512_min_ps FATHOM_EMULATE(min)
#undef _mm512_roundscale_ps
#define _mm512_roundscale_ps FATHOM_EMULATE(nearest)
#undef _mm512_cmp_ps_mask
#define _mm512_cmp_ps_mask FATHOM_EMULATE(less)
#define _mm512_mask_mov_ps FATHOM_EMULATE(blend)
#define _mm512_unpacklo_ps FATHOM_EMULATE(unpack_low)
#define _mm512_unpackhi_ps FATHOM_EMULATE(unpack_high)
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps FATHOM_EMULATE(shuffle)
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4 FATHOM_EMULATE(shuffle_fours)
#define _mm512_castps512_ps256 FATHOM_EMULATE(low)
#define _mm512_castps512_ps128 FATHOM_EMULATE(lowest)
#undef _mm512_extractf32x8_ps
#define _mm512_extractf32x8_ps FATHOM_EMULATE(high)
#define _mm512_cvtepu16_epi32 FATHOM_EMULATE(widen)
#define _mm512_cvtepi8_epi32 FATHOM_EMULATE(widen_bytes)
#define _mm512_cvtepi32_ps FATHOM_EMULATE(from_ints)
#define _mm512_cvtph_ps FATHOM_EMULATE(halves)
#define _mm512_slli_epi32 FATHOM_EMULATE(shift_left)
#define _mm512_add_epi32 FATHOM_EMULATE(add_ints)
#define _mm512_set1_epi32 FATHOM_EMULATE(set_ints)
#define _mm512_cvtps_epi32 FATHOM_EMULATE(to_ints)
#define _mm512_loadu_si512 FATHOM_EMULATE(load_ints)
#define _mm512_storeu_si512 FATHOM_EMULATE(store_ints)
#define _mm512_and_si512 FATHOM_EMULATE(and_ints)
#define _mm512_srli_epi16 FATHOM_EMULATE(shift_halves_right)
#define _mm512_add_epi16 FATHOM_EMULATE(add_halves)
#define _mm512_madd_epi16 FATHOM_EMULATE(multiply_pairs)
#define _mm512_maddubs_epi16 FATHOM_EMULATE(multiply_bytes)
#define _mm512_dpbusd_epi32 FATHOM_EMULATE(add_products)
#define _mm512_castsi512_ps FATHOM_EMULATE(as_floats)
#define _mm512_or_si512 FATHOM_EMULATE(or_ints)
#define _mm512_cvtneps_pbh FATHOM_EMULATE(to_bf16)
#define _mm512_permutex2var_epi16 FATHOM_EMULATE(pick_halves)
#define _mm512_permutexvar_epi8 FATHOM_EMULATE(pick_bytes)
#define _mm512_permutex2var_epi8 FATHOM_EMULATE(pick_bytes_of_two)
#define _mm512_unpacklo_epi8 FATHOM_EMULATE(unpack_low_bytes)
#define _mm512_unpackhi_epi8 FATHOM_EMULATE(unpack_high_bytes)
#undef _mm512_ternarylogic_epi32
#define _mm512_ternarylogic_epi32 FATHOM_EMULATE(logic_of_three)
#define _mm512_cvtepi32_epi8 FATHOM_EMULATE(lowest_bytes)
#define _mm512_dpbf16_ps FATHOM_EMULATE(add_bf16_products)
