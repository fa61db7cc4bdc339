// Exact values of stored numbers, written from the definitions of their formats.
#pragma once

#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

#include "backends/cpu/kernels/tensor_rows.h"
#include "device/abi.h"

namespace fathom::cpu::reference {

inline double bf16_value(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// To nearest, ties to even; NaN stays NaN.
inline uint16_t to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (std::isnan(value)) return static_cast<uint16_t>((bits >> 16) | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// OCP 8-bit floating point specification, table 1: 4 exponent bits biased by 7, 3 mantissa bits.
inline double e4m3_value(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  if (exponent == 15 && mantissa == 7) return std::numeric_limits<double>::quiet_NaN();
  const double magnitude = exponent == 0 ? std::ldexp(mantissa / 8.0, -6)
                                         : std::ldexp(1.0 + mantissa / 8.0, exponent - 7);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}
// All of them: each weight is read many times.
inline const std::array<double, 256> kE4m3Values = [] {
  std::array<double, 256> values;
  for (size_t bits = 0; bits < values.size(); ++bits) {
    values[bits] = e4m3_value(static_cast<uint8_t>(bits));
  }
  return values;
}();

// Element `index` of a 4-bit weight, counted from its first.
inline double i4_value(const uint8_t* data, int64_t index) {
  const uint8_t pair = data[index / 2];
  return (index % 2 == 0 ? pair & 15 : pair >> 4) - 8;
}

inline double weight_value(const fathom_weight& w, int64_t row, int64_t column) {
  const int64_t index = row * w.k + column;
  if (w.dtype == FATHOM_F32) return static_cast<const float*>(w.data)[index];
  if (w.dtype == FATHOM_BF16) return bf16_value(static_cast<const uint16_t*>(w.data)[index]);
  const int64_t blocks_across = (w.k + w.block_k - 1) / w.block_k;
  const double scale = w.scale[row / w.block_n * blocks_across + column / w.block_k];
  if (w.dtype == FATHOM_I8) return static_cast<const int8_t*>(w.data)[index] * scale;
  const auto* bytes = static_cast<const uint8_t*>(w.data);
  return (w.dtype == FATHOM_I4 ? i4_value(bytes, index) : kE4m3Values[bytes[index]]) * scale;
}

// The entries of a cache, whose number i is the latent's, and then the rotated key's.
class CacheEntries {
 public:
  CacheEntries(const fathom_kv_cache& cache, const fathom_mla_shape& shape)
      : all_(cache_parts(cache, shape)), dtype_(cache.dtype) {}

  double get(int64_t row, int64_t i) const {
    const CachePart& part = part_of(i);
    const int64_t index = row * part.width + i - part.column;
    if (dtype_ == FATHOM_F32) return static_cast<const float*>(part.data)[index];
    return bf16_value(static_cast<const uint16_t*>(part.data)[index]);
  }
  void set(int64_t row, int64_t i, double value) const {
    const CachePart& part = part_of(i);
    const int64_t index = row * part.width + i - part.column;
    const float rounded = static_cast<float>(value);
    if (dtype_ == FATHOM_F32) {
      static_cast<float*>(part.data)[index] = rounded;
    } else {
      static_cast<uint16_t*>(part.data)[index] = to_bf16(rounded);
    }
  }

 private:
  const CachePart& part_of(int64_t i) const { return all_.parts[i < all_.parts[0].width ? 0 : 1]; }

  CacheParts all_;
  int32_t dtype_;
};

inline double silu(double v) {
  return v / (1.0 + std::exp(-v));
}

}  // namespace fathom::cpu::reference
