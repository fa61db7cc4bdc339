// Weights as vectors of F32, the same bits wherever they are read.
#pragma once

#include "backends/cpu/native/vec.h"
#include "device/abi.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Each format reads kWidth elements of a row, or the first `count` < kWidth of them.
struct F32Format {
  using Element = float;
  static constexpr bool kScaled = false;
  static Vec read(const float* p) { return load(p); }
  static Vec read_first(const float* p, int64_t count) { return load_first(p, count); }
};

template <typename Format>
static inline Vec read_padded(const typename Format::Element* p, int64_t count) {
  typename Format::Element padded[kWidth] = {};
  for (int64_t i = 0; i < count; ++i) padded[i] = p[i];
  return Format::read(padded);
}

struct Bf16Format {
  using Element = uint16_t;
  static constexpr bool kScaled = false;
  static Vec read(const uint16_t* p) { return load_bf16(p); }
  static Vec read_first(const uint16_t* p, int64_t count) {
    return read_padded<Bf16Format>(p, count);
  }
};

// Values are kFp8Factor times too small; the scale makes up for it.
struct Fp8Format {
  using Element = uint8_t;
  static constexpr bool kScaled = true;
  static Vec read(const uint8_t* p) { return load_fp8(p); }
  static Vec read_first(const uint8_t* p, int64_t count) {
    return read_padded<Fp8Format>(p, count);
  }
};

// Calls body(format) with the format of a weight or cache of that type.
template <typename Body>
static inline void with_format(int32_t dtype, const Body& body) {
  if (dtype == FATHOM_F8_E4M3) {
    body(Fp8Format{});
  } else if (dtype == FATHOM_BF16) {
    body(Bf16Format{});
  } else {
    body(F32Format{});
  }
}

template <typename Format>
static inline const typename Format::Element* weight_row(const fathom_weight& w, int64_t row) {
  return static_cast<const typename Format::Element*>(w.data) + row * w.k;
}

// Columns that share their scales in whole vectors: those of a scale block, or one vector where
// blocks and vectors do not line up.
template <typename Format>
static inline int64_t scale_run(const fathom_weight& w) {
  if (!Format::kScaled) return w.k;
  return w.block_k % kWidth == 0 ? w.block_k : kWidth;
}

// Scales of the vectors in the run of columns that begins at `column`.
template <typename Format>
static inline Vec scales_at(const fathom_weight& w, int64_t row, int64_t column) {
  if (!Format::kScaled) return broadcast(1.0f);
  const float* scales = w.scale + row / w.block_n * ceil_div(w.k, w.block_k);
  if (w.block_k % kWidth == 0) return broadcast(scales[column / w.block_k] * kFp8Factor);
  float each[kWidth];
  for (int64_t i = 0; i < kWidth; ++i) {
    each[i] = scales[min_of(column + i, w.k - 1) / w.block_k] * kFp8Factor;
  }
  return load(each);
}

template <typename Format>
static inline Vec scaled(Vec value, Vec scale) {
  return Format::kScaled ? mul(value, scale) : value;
}

// Columns [begin, end) of a row as F32, padded with zeros to whole vectors. `begin` is a multiple
// of kWidth.
template <typename Format>
static void read_row(const fathom_weight& w, int64_t row, int64_t begin, int64_t end, float* out) {
  const auto* data = weight_row<Format>(w, row);
  const int64_t run = scale_run<Format>(w);
  for (int64_t from = begin; from < end;) {
    const int64_t to = min_of(end, (from / run + 1) * run);
    const Vec scale = scales_at<Format>(w, row, from);
    int64_t i = from;
    for (; i + kWidth <= to; i += kWidth) {
      store(out + i - begin, scaled<Format>(Format::read(data + i), scale));
    }
    if (i < to) store(out + i - begin, scaled<Format>(Format::read_first(data + i, to - i), scale));
    from = to;
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
