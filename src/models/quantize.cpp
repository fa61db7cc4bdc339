#include "models/quantize.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "models/number_formats.h"
#include "models/simd_clones.h"

// The loops below are written for the compiler to vectorise: no branches, and `omp simd` where a
// sum or a maximum may be taken in any order.
#define FATHOM_INLINE inline __attribute__((always_inline))

namespace fathom::models {
namespace {

template <typename T>
FATHOM_INLINE T load(const std::byte* data, int64_t index) {
  T value;
  std::memcpy(&value, data + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return value;
}

// ------------------------------------------------------------------ to F32

FATHOM_SIMD_CLONES void widen_bf16(const std::byte* row, int64_t k, float* out) {
  for (int64_t i = 0; i < k; ++i) out[i] = bf16_to_f32(load<uint16_t>(row, i));
}

FATHOM_SIMD_CLONES void widen_f16(const std::byte* row, int64_t k, float* out) {
  for (int64_t i = 0; i < k; ++i) out[i] = f16_to_f32(load<uint16_t>(row, i));
}

FATHOM_SIMD_CLONES void widen_f8(const std::byte* row, const float* scale, int64_t block, int64_t k,
                                 float* out) {
  for (int64_t begin = 0; begin < k; begin += block) {
    const float s = *scale++;
    const int64_t end = std::min(k, begin + block);
    for (int64_t i = begin; i < end; ++i) out[i] = f8_to_f32(load<uint8_t>(row, i)) * s;
  }
}

FATHOM_SIMD_CLONES void widen_i8(const std::byte* row, const float* scale, int64_t block, int64_t k,
                                 float* out) {
  for (int64_t begin = 0; begin < k; begin += block) {
    const float s = *scale++;
    const int64_t end = std::min(k, begin + block);
    for (int64_t i = begin; i < end; ++i) out[i] = static_cast<float>(load<int8_t>(row, i)) * s;
  }
}

FATHOM_SIMD_CLONES void widen_i4(const std::byte* row, const float* scale, int64_t block, int64_t k,
                                 float* out) {
  for (int64_t begin = 0; begin < k; begin += block) {
    const float s = *scale++;
    const int64_t end = std::min(k, begin + block);
    for (int64_t i = begin; i < end; i += 2) {
      const int pair = load<uint8_t>(row, i / 2);
      out[i] = static_cast<float>((pair & 15) - 8) * s;
      out[i + 1] = static_cast<float>((pair >> 4) - 8) * s;
    }
  }
}

// ------------------------------------------------------------------ from F32

FATHOM_INLINE float greatest_magnitude(const float* x, int64_t count) {
  float greatest = 0;
#pragma omp simd reduction(max : greatest)
  for (int64_t i = 0; i < count; ++i) {
    const float magnitude = std::fabs(x[i]);
    greatest = greatest < magnitude ? magnitude : greatest;
  }
  return greatest;
}

// The nearest whole number, ties to even, of a value within +-2^22.
FATHOM_INLINE int32_t round_small(float value) {
  constexpr float kShift = 0x1.8p23f;  // adding it leaves no bits for a fraction
  return std::bit_cast<int32_t>(value + kShift) - std::bit_cast<int32_t>(kShift);
}

FATHOM_INLINE void measure(const float* was, const float* is, int64_t count, WeightError& error) {
  float squared_error = 0;
  float squares = 0;
  float largest = 0;
#pragma omp simd reduction(+ : squared_error, squares) reduction(max : largest)
  for (int64_t i = 0; i < count; ++i) {
    const float difference = is[i] - was[i];
    squared_error += difference * difference;
    squares += was[i] * was[i];
    const float magnitude = std::fabs(difference);
    largest = largest < magnitude ? magnitude : largest;
  }
  error.add({squared_error, squares, largest});
}

FATHOM_SIMD_CLONES void narrow_bf16(const float* x, int64_t k, std::byte* out, WeightError& error) {
  constexpr int64_t kTile = 256;
  std::array<float, kTile> is;
  for (int64_t begin = 0; begin < k; begin += kTile) {
    const int64_t count = std::min(kTile, k - begin);
    for (int64_t i = 0; i < count; ++i) {
      const uint16_t bits = f32_to_bf16(x[begin + i]);
      std::memcpy(out + (begin + i) * 2, &bits, sizeof(bits));
      is[static_cast<size_t>(i)] = bf16_to_f32(bits);
    }
    measure(x + begin, is.data(), count, error);
  }
}

FATHOM_SIMD_CLONES void narrow_i8(const float* x, int64_t k, std::byte* out, float* scale,
                                  WeightError& error) {
  std::array<float, kInt8Group> is;
  for (int64_t begin = 0; begin < k; begin += kInt8Group) {
    const int64_t count = std::min<int64_t>(kInt8Group, k - begin);
    const float* group = x + begin;
    const float step = greatest_magnitude(group, count) / 127;
    const float inverse = step > 0 ? 1 / step : 0;
    auto* to = reinterpret_cast<int8_t*>(out + begin);
    // A step that is subnormal has an inverse that is too large for its numbers.
    const bool usable = std::isfinite(inverse);
    for (int64_t i = 0; i < count; ++i) {
      const int32_t code = round_small(usable ? group[i] * inverse : 0.0f);
      to[i] = static_cast<int8_t>(std::clamp(code, -127, 127));
      is[static_cast<size_t>(i)] = static_cast<float>(to[i]) * step;
    }
    *scale++ = step;
    measure(group, is.data(), count, error);
  }
}

// Int4 searches a scale for each group of 32: kLanes groups at a time, so that every step below is
// one vector operation over groups and no sum is taken across a vector.
constexpr int64_t kLanes = 8;
using Lanes = float __attribute__((vector_size(kLanes * sizeof(float))));
using IntLanes = int32_t __attribute__((vector_size(kLanes * sizeof(int32_t))));

// What the extreme number of a group may become. -8 uses the code without a positive twin; beyond
// the range, the extreme is clipped and the others are finer.
constexpr std::array<float, 6> kExtremeCodes = {-8.0f, -8.7f, -9.5f, -7.2f, 7.0f, 7.6f};

struct Int4Tile {
  std::array<Lanes, kInt4Group> x;  // [column of the group][group]
  Lanes step;
  Lanes least;  // squared error of `step`
};

FATHOM_INLINE void magnitude(const Lanes& x, Lanes& out) {
  out = reinterpret_cast<Lanes>(reinterpret_cast<IntLanes>(x) & 0x7fffffff);
}

// Rounds to what F16 holds, at most its largest number: to 10 bits of fraction, and below 2^-14 to
// counts of 2^-24.
FATHOM_INLINE void round_to_f16(Lanes& x) {
  Lanes size;
  magnitude(x, size);
  const IntLanes sign = reinterpret_cast<IntLanes>(x) & ~0x7fffffff;
  const IntLanes bits = reinterpret_cast<IntLanes>(size);
  const Lanes normal = reinterpret_cast<Lanes>((bits + 0xfff + ((bits >> 13) & 1)) & ~0x1fff);
  const Lanes rounded = size < 0x1p-14f ? (size + 0.5f) - 0.5f : normal;
  const Lanes held = rounded > 65504.0f ? Lanes{} + 65504.0f : rounded;
  x = reinterpret_cast<Lanes>(reinterpret_cast<IntLanes>(held) | sign);
}

// 1 / step, or 0 where that is no number.
FATHOM_INLINE void invert(const Lanes& step, Lanes& out) {
  out = step != 0 ? 1 / step : Lanes{};
}

FATHOM_INLINE void code_i4(const Lanes& x, const Lanes& inverse, IntLanes& code) {
  constexpr float kShift = 0x1.8p23f;  // as in round_small
  code = reinterpret_cast<IntLanes>(x * inverse + kShift) - std::bit_cast<int32_t>(kShift);
  code = code < -8 ? IntLanes{} - 8 : code;
  code = code > 7 ? IntLanes{} + 7 : code;
}

FATHOM_INLINE void try_extreme_code(const Lanes& end, float code, Int4Tile& tile) {
  Lanes step = end / code;
  round_to_f16(step);
  Lanes inverse;
  invert(step, inverse);
  Lanes error = {};
  for (const Lanes& column : tile.x) {
    IntLanes codes;
    code_i4(column, inverse, codes);
    const Lanes difference = __builtin_convertvector(codes, Lanes) * step - column;
    error += difference * difference;
  }
  tile.step = error < tile.least ? step : tile.step;
  tile.least = error < tile.least ? error : tile.least;
}

// Columns [0, count) of a row; count is at most kLanes groups.
FATHOM_INLINE void narrow_i4_tile(const float* x, int64_t count, std::byte* out, float* scale,
                                  WeightError& error) {
  std::array<float, kLanes* kInt4Group> is = {};
  std::array<int32_t, kLanes * kInt4Group> codes;
  std::copy_n(x, count, is.begin());
  Int4Tile tile;
  Lanes end = {};  // of each group the number of greatest magnitude
  for (size_t column = 0; column < kInt4Group; ++column) {
    Lanes& to = tile.x[column];
    for (size_t lane = 0; lane < kLanes; ++lane) to[lane] = is[lane * kInt4Group + column];
    Lanes size;
    Lanes greatest;
    magnitude(to, size);
    magnitude(end, greatest);
    end = size > greatest ? to : end;
  }
  tile.step = Lanes{};
  tile.least = Lanes{} + std::numeric_limits<float>::infinity();
  for (const float code : kExtremeCodes) try_extreme_code(end, code, tile);

  Lanes inverse;
  invert(tile.step, inverse);
  for (size_t column = 0; column < kInt4Group; ++column) {
    IntLanes code;
    code_i4(tile.x[column], inverse, code);
    const Lanes value = __builtin_convertvector(code, Lanes) * tile.step;
    for (size_t lane = 0; lane < kLanes; ++lane) {
      codes[lane * kInt4Group + column] = code[lane] + 8;
      is[lane * kInt4Group + column] = value[lane];
    }
  }
  for (int64_t i = 0; i < count / 2; ++i) {
    const auto at = static_cast<size_t>(2 * i);
    out[i] = static_cast<std::byte>(codes[at] | codes[at + 1] << 4);
  }
  for (int64_t lane = 0; lane * kInt4Group < count; ++lane) scale[lane] = tile.step[lane];
  measure(x, is.data(), count, error);
}

FATHOM_SIMD_CLONES void narrow_i4(const float* x, int64_t k, std::byte* out, float* scale,
                                  WeightError& error) {
  constexpr int64_t kTile = kLanes * kInt4Group;
  for (int64_t begin = 0; begin < k; begin += kTile) {
    narrow_i4_tile(x + begin, std::min(kTile, k - begin), out + begin / 2,
                   scale + begin / kInt4Group, error);
  }
}

// Columns [begin, begin + count) of up to block_n rows [rows, k]: one block, one scale.
FATHOM_SIMD_CLONES void narrow_f8_block(const float* x, int64_t rows, int64_t k, int64_t count,
                                        std::byte* out, float* scale, WeightError& error) {
  std::array<float, kFp8Block> is;
  float greatest = 0;
  for (int64_t row = 0; row < rows; ++row) {
    greatest = std::max(greatest, greatest_magnitude(x + row * k, count));
  }
  const float step = greatest / 448;
  const float inverse = step > 0 ? 1 / step : 0;
  const bool usable = std::isfinite(inverse);
  for (int64_t row = 0; row < rows; ++row) {
    const float* from = x + row * k;
    auto* to = reinterpret_cast<uint8_t*>(out + row * k);
    for (int64_t i = 0; i < count; ++i) {
      to[i] = f32_to_f8(usable ? from[i] * inverse : 0.0f);
      is[static_cast<size_t>(i)] = f8_to_f32(to[i]) * step;
    }
    measure(from, is.data(), count, error);
  }
  *scale = step;
}

FATHOM_SIMD_CLONES uint8_t any_minus_128(const std::byte* data, size_t count) {
  uint8_t found = 0;
  for (size_t i = 0; i < count; ++i) found |= static_cast<uint8_t>(data[i] == std::byte{0x80});
  return found;
}

void narrow_f8(const WeightOut& out, int64_t begin, int64_t count, const float* rows,
               WeightError& error) {
  const int64_t k = out.format.k;
  for (int64_t row = 0; row < count; row += kFp8Block) {
    const int64_t height = std::min<int64_t>(kFp8Block, count - row);
    float* scale = out.scale + (begin + row) / kFp8Block * scale_columns(out.format);
    for (int64_t column = 0; column < k; column += kFp8Block) {
      narrow_f8_block(rows + row * k + column, height, k, std::min<int64_t>(kFp8Block, k - column),
                      out.data + (begin + row) * k + column, scale++, error);
    }
  }
}

void narrow_row(const WeightOut& out, int64_t row, const float* values, WeightError& error) {
  const auto dtype = static_cast<fathom_dtype>(out.format.dtype);
  const int64_t k = out.format.k;
  std::byte* data = out.data + static_cast<size_t>(row) * device::weight_row_bytes(dtype, k);
  float* scale = out.scale + row * scale_columns(out.format);
  switch (dtype) {
    case FATHOM_F32:
      std::memcpy(data, values, static_cast<size_t>(k) * sizeof(float));
      return error.add({0, static_cast<double>(greatest_magnitude(values, k)), 0});
    case FATHOM_BF16:
      return narrow_bf16(values, k, data, error);
    case FATHOM_I8:
      return narrow_i8(values, k, data, scale, error);
    case FATHOM_I4:
      return narrow_i4(values, k, data, scale, error);
    default:
      FATHOM_CHECK(false, "quantize_rows: expected a format that weights are kept in");
  }
}

}  // namespace

void WeightError::add(const WeightError& other) {
  squared_error += other.squared_error;
  squares += other.squares;
  largest = std::max(largest, other.largest);
}

double WeightError::relative() const {
  return squares > 0 ? std::sqrt(squared_error / squares) : 0;
}

bool WeightError::finite() const {
  return std::isfinite(squares) && std::isfinite(squared_error);
}

bool holds_minus_128(const Weight& weight) {
  return any_minus_128(static_cast<const std::byte*>(weight.data), data_bytes(weight)) != 0;
}

void dequantize_row(const Weight& weight, int64_t row, float* out) {
  const auto dtype = static_cast<fathom_dtype>(weight.dtype);
  const int64_t k = weight.k;
  const auto* data = static_cast<const std::byte*>(weight.data) +
                     static_cast<size_t>(row) * device::weight_row_bytes(dtype, k);
  const float* scale =
      weight.block_n == 0 ? nullptr : weight.scale + row / weight.block_n * scale_columns(weight);
  switch (dtype) {
    case FATHOM_F32:
      std::memcpy(out, data, static_cast<size_t>(k) * sizeof(float));
      return;
    case FATHOM_BF16:
      return widen_bf16(data, k, out);
    case FATHOM_F16:
      return widen_f16(data, k, out);
    case FATHOM_F8_E4M3:
      return widen_f8(data, scale, weight.block_k, k, out);
    case FATHOM_I8:
      return widen_i8(data, scale, weight.block_k, k, out);
    case FATHOM_I4:
      return widen_i4(data, scale, weight.block_k, k, out);
    default:
      FATHOM_CHECK(false, "dequantize_row: expected a format that weights are kept in");
  }
}

void quantize_rows(const WeightOut& out, int64_t begin, int64_t count, const float* rows,
                   WeightError& error) {
  if (out.format.dtype == FATHOM_F8_E4M3) return narrow_f8(out, begin, count, rows, error);
  for (int64_t row = 0; row < count; ++row) {
    narrow_row(out, begin + row, rows + row * out.format.k, error);
  }
}

}  // namespace fathom::models
