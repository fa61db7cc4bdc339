// Rows of every format to F32, in loops that the compiler vectorises.
#pragma once

#include "base/lanes.h"
#include "models/number_formats.h"

namespace fathom::models::FATHOM_ISA {

using namespace fathom::FATHOM_ISA;

template <typename T>
static inline T load_as(const std::byte* data, int64_t index) {
  T value;
  memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

static void widen_bf16(const std::byte* row, int64_t k, float* out) {
  for (int64_t i = 0; i < k; ++i) out[i] = bf16_to_f32(load_as<uint16_t>(row, i));
}

static void widen_f16(const std::byte* row, int64_t k, float* out) {
  for (int64_t i = 0; i < k; ++i) out[i] = f16_to_f32(load_as<uint16_t>(row, i));
}

// body(begin, end, scale) for each block of columns.
template <typename Body>
static inline void for_blocks(const float* scale, int64_t block, int64_t k, const Body& body) {
  for (int64_t begin = 0; begin < k; begin += block) {
    body(begin, begin + block < k ? begin + block : k, *scale++);
  }
}

static void widen_f8(const std::byte* row, const float* scale, int64_t block, int64_t k,
                     float* out) {
  for_blocks(scale, block, k, [&](int64_t begin, int64_t end, float s) {
    for (int64_t i = begin; i < end; ++i) out[i] = f8_to_f32(load_as<uint8_t>(row, i)) * s;
  });
}

static void widen_i8(const std::byte* row, const float* scale, int64_t block, int64_t k,
                     float* out) {
  for_blocks(scale, block, k, [&](int64_t begin, int64_t end, float s) {
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<float>(load_as<int8_t>(row, i)) * s;
  });
}

// Eight codes in 32 bits at a time: all lanes get them, and shift their own down.
static void widen_i4(const std::byte* row, const float* scale, int64_t block, int64_t k,
                     float* out) {
  using Eight = int32_t __attribute__((vector_size(32)));
  using EightFloats = float __attribute__((vector_size(32)));
  constexpr Eight kPlaces = {0, 4, 8, 12, 16, 20, 24, 28};
  for_blocks(scale, block, k, [&](int64_t begin, int64_t end, float s) {
    int64_t i = begin;
    for (; i + 8 <= end; i += 8) {
      const Eight codes = (load_as<int32_t>(row + i / 2, 0) >> kPlaces & 15) - 8;
      const EightFloats values = __builtin_convertvector(codes, EightFloats) * s;
      memcpy(out + i, &values, sizeof(values));
    }
    for (; i < end; i += 2) {
      const int pair = load_as<uint8_t>(row, i / 2);
      out[i] = static_cast<float>((pair & 15) - 8) * s;
      out[i + 1] = static_cast<float>((pair >> 4) - 8) * s;
    }
  });
}

}  // namespace fathom::models::FATHOM_ISA
