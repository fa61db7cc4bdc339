// Weights as vectors of F32, the same bits wherever they are read.
#pragma once

#include <type_traits>

#include "backends/cpu/native/products/fp8_table.h"
#include "device/abi.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Each format reads kWidth elements of a row, or the first `count` < kWidth of them, from a pointer
// to them. What it reads is the value times 1 / kFactor; the scale makes up for it.
// A format that has kBlock reads so many vectors at once faster, with read_block().
template <typename Format>
static inline Vec read_padded(typename Format::Pointer p, int64_t count) {
  std::remove_const_t<std::remove_pointer_t<typename Format::Pointer>> padded[kWidth] = {};
  for (int64_t i = 0; i < count; ++i) padded[i] = p[i];
  return Format::read(padded);
}

struct F32Format {
  using Pointer = const float*;
  static constexpr bool kScaled = false;
  static constexpr float kFactor = 1;
  static Vec read(Pointer p) { return load(p); }
  static Vec read_first(Pointer p, int64_t count) { return load_first(p, count); }
};

struct Bf16Format {
  using Pointer = const uint16_t*;
  static constexpr bool kScaled = false;
  static constexpr float kFactor = 1;
  static Vec read(Pointer p) { return load_bf16(p); }
  static Vec read_first(Pointer p, int64_t count) { return read_padded<Bf16Format>(p, count); }
};

struct Fp8Format {
  using Pointer = const uint8_t*;
  static constexpr bool kScaled = true;
  static constexpr float kFactor = kFp8Factor;
  // Whether any of `count` elements of each of `rows` rows, `stride` apart, is NaN.
  static bool has_nan(Pointer p, int64_t rows, int64_t stride, int64_t count) {
    // Of the codes without their sign, those of NaN alone carry into the top bit with one more.
    constexpr int kAtOnce = 64;
    typedef uint8_t Codes __attribute__((vector_size(kAtOnce)));
    Codes carries = {};
    uint8_t rest = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const Pointer row = p + r * stride;
      int64_t i = 0;
      for (; i + kAtOnce <= count; i += kAtOnce) {
        Codes codes;
        memcpy(&codes, row + i, sizeof(codes));
        carries |= (codes & 0x7f) + 1;
      }
      for (; i < count; ++i) rest |= static_cast<uint8_t>((row[i] & 0x7f) + 1);
    }
    uint64_t words[kAtOnce / sizeof(uint64_t)];
    memcpy(words, &carries, sizeof(words));
    for (const uint64_t word : words) rest |= (word & 0x8080808080808080) != 0 ? 0x80 : 0;
    return (rest & 0x80) != 0;
  }
#if FATHOM_CPU_VBMI
  static constexpr int kBlock = 4;  // in which NaN reads as NaN
  static void read_block(Pointer p, Vec (&out)[kBlock]) {
    load_fp8_block(p, out);
  }
#endif
  static Vec read(Pointer p) {
    return load_fp8(p);
  }
  static Vec read_first(Pointer p, int64_t count) {
    return read_padded<Fp8Format>(p, count);
  }
};

struct I8Format {
  using Pointer = const int8_t*;
  static constexpr bool kScaled = true;
  static constexpr float kFactor = 1;
  static Vec read(Pointer p) { return load_i8(p); }
  static Vec read_first(Pointer p, int64_t count) { return read_padded<I8Format>(p, count); }
};

// Counts in elements, of which each byte holds two; they are only read from even ones on.
struct I4Pointer {
  const uint8_t* data;
  int64_t element = 0;

  explicit I4Pointer(const void* weight) : data(static_cast<const uint8_t*>(weight)) {}
  const uint8_t* bytes() const { return data + element / 2; }
  I4Pointer operator+(int64_t elements) const {
    I4Pointer moved = *this;
    moved.element += elements;
    return moved;
  }
};

struct I4Format {
  using Pointer = I4Pointer;
  static constexpr bool kScaled = true;
  static constexpr float kFactor = 1;
  static Vec read(Pointer p) { return load_i4(p.bytes()); }
  // Rows have an even number of elements.
  static Vec read_first(Pointer p, int64_t count) {
    uint8_t padded[kWidth / 2];
    for (int64_t i = 0; i < kWidth / 2; ++i) padded[i] = i < count / 2 ? p.bytes()[i] : kTwoZeros;
    return load_i4(padded);
  }

 private:
  static constexpr uint8_t kTwoZeros = 0x88;
};

// Elements that a format reads at once.
template <typename Format>
static constexpr int64_t block_elements() {
  if constexpr (requires { Format::kBlock; }) {
    return Format::kBlock * kWidth;
  } else {
    return kWidth;
  }
}

// Calls body(format) with the format of a weight or cache of that type.
template <typename Body>
static inline void with_format(int32_t dtype, const Body& body) {
  switch (dtype) {
    case FATHOM_F8_E4M3:
      return body(Fp8Format{});
    case FATHOM_BF16:
      return body(Bf16Format{});
    case FATHOM_I8:
      return body(I8Format{});
    case FATHOM_I4:
      return body(I4Format{});
    default:
      return body(F32Format{});
  }
}

template <typename Format>
static inline typename Format::Pointer weight_row(const fathom_weight& w, int64_t row) {
  return static_cast<typename Format::Pointer>(w.data) + row * w.k;
}

// Columns taken at once, which share their scales in whole vectors: those of a scale block, or one
// vector where blocks and vectors do not line up.
template <typename Format>
static inline int64_t scale_run(const fathom_weight& w) {
  constexpr int64_t kUnscaled = 128;
  if (!Format::kScaled) return kUnscaled;
  return w.block_k % kWidth == 0 ? w.block_k : kWidth;
}

static inline const void* address(const void* p) {
  return p;
}
static inline const void* address(I4Pointer p) {
  return p.bytes();
}

// Brings `count` elements of a row into the first-level cache.
template <typename Pointer>
static inline void prefetch(Pointer p, int64_t count) {
  constexpr int64_t kLineBytes = 64;
  const auto* end = static_cast<const char*>(address(p + count));
  for (auto* line = static_cast<const char*>(address(p)); line < end; line += kLineBytes) {
    __builtin_prefetch(line);
  }
}

// scales[i] = the scales of row + i's blocks. Divides once: that takes longer than many products.
template <typename Format, int N>
static inline void scale_rows(const fathom_weight& w, int64_t row, const float* (&scales)[N]) {
  if constexpr (Format::kScaled) {
    const int64_t blocks = ceil_div(w.k, w.block_k);
    int64_t left = w.block_n - row % w.block_n;
    const float* of_block = w.scale + row / w.block_n * blocks;
    for (int i = 0; i < N; ++i) {
      scales[i] = of_block;
      if (--left > 0) continue;
      left = w.block_n;
      of_block += blocks;
    }
  }
}

// Scales of the vectors in a row's `run`th run of columns.
template <typename Format>
static inline Vec scales_at(const fathom_weight& w, const float* scales, int64_t run) {
  if (!Format::kScaled) return broadcast(1.0f);
  if (w.block_k % kWidth == 0) return broadcast(scales[run] * Format::kFactor);
  const int64_t column = run * kWidth;
  float each[kWidth];
  for (int64_t i = 0; i < kWidth; ++i) {
    each[i] = scales[min_of(column + i, w.k - 1) / w.block_k] * Format::kFactor;
  }
  return load(each);
}

// Makes the scales of those of `rows` rows NaN that have a NaN among `count` elements from `p` on:
// a row's result is then NaN, as it is with one such weight.
template <typename Format>
static inline void spread_nan(typename Format::Pointer p, int64_t rows, int64_t stride,
                              int64_t count, Vec* scales) {
  if constexpr (std::is_same_v<Format, Fp8Format>) {
    if constexpr (requires { Format::kBlock; }) {
      const int64_t in_blocks = count / block_elements<Format>() * block_elements<Format>();
      if (in_blocks == count) return;
      p = p + in_blocks;
      count -= in_blocks;
    }
    if (__builtin_expect(!Format::has_nan(p, rows, stride, count), 1)) return;
    for (int64_t r = 0; r < rows; ++r) {
      if (Format::has_nan(p + r * stride, 1, 0, count)) scales[r] = broadcast(__builtin_nanf(""));
    }
  }
}

template <typename Format>
static inline Vec scaled(Vec value, Vec scale) {
  return Format::kScaled ? mul(value, scale) : value;
}

// Columns [begin, end) of a row as F32, padded with zeros to whole vectors. `begin` is a multiple
// of kWidth.
template <typename Format>
static void read_row(const fathom_weight& w, int64_t row, int64_t begin, int64_t end, float* out) {
  const auto data = weight_row<Format>(w, row);
  const float* scales[1] = {};
  scale_rows<Format>(w, row, scales);
  const int64_t run_columns = scale_run<Format>(w);
  int64_t run = begin / run_columns;
  for (int64_t from = begin; from < end; ++run) {
    const int64_t to = min_of(end, (run + 1) * run_columns);
    constexpr int64_t kRowsAhead = 4;  // rows are mostly read one after the other
    prefetch(data + (kRowsAhead * w.k + from), to - from);
    Vec scale = scales_at<Format>(w, scales[0], run);
    spread_nan<Format>(data + from, 1, 0, to - from, &scale);
    int64_t i = from;
    if constexpr (requires { Format::kBlock; }) {
      for (; i + block_elements<Format>() <= to; i += block_elements<Format>()) {
        Vec block[Format::kBlock];
        Format::read_block(data + i, block);
        for (int v = 0; v < Format::kBlock; ++v) {
          store(out + i - begin + v * kWidth, scaled<Format>(block[v], scale));
        }
      }
    }
    for (; i + kWidth <= to; i += kWidth) {
      store(out + i - begin, scaled<Format>(Format::read(data + i), scale));
    }
    if (i < to) store(out + i - begin, scaled<Format>(Format::read_first(data + i, to - i), scale));
    from = to;
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
