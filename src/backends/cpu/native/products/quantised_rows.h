// Rows of x in int8, each group of columns with a scale of its own: x = value * scale, value in
// [-127, 127] to nearest. A row depends on nothing but itself.
#pragma once

#include <cstddef>

#include "backends/cpu/native/products/elementwise.h"
#include "backends/cpu/native/products/packed_formats.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Where the parts of a row stand, in bytes; values come first, each group's in whole steps.
struct QuantisedShape {
  int64_t scales;  // F32 [groups]
  int64_t biases;  // int32 [groups]: what the weights' bias adds to a group's sums, negated
  int64_t bytes;   // whole cache lines
};

template <typename Format>
static inline QuantisedShape quantised_shape(const PackedShape& shape) {
  const int64_t values = shape.groups * shape.group_steps * Format::kStep;
  QuantisedShape row;
  row.scales = ceil_div(values * static_cast<int64_t>(sizeof(typename Format::Value)), 64) * 64;
  row.biases = row.scales + shape.groups * static_cast<int64_t>(sizeof(float));
  row.bytes = ceil_div(row.biases + shape.groups * static_cast<int64_t>(sizeof(int32_t)), 64) * 64;
  return row;
}

static inline int64_t quantised_bytes(const fathom_weight& w) {
  int64_t bytes = 0;
  with_packed_format(w.dtype, [&](auto format) {
    bytes = quantised_shape<decltype(format)>(packed_shape(w)).bytes;
  });
  return bytes;
}

// The greatest magnitude; NaN if any is NaN or infinite.
static inline float magnitude_of(const float* x, int64_t count) {
  Vec top = broadcast(0.0f);
  Vec strange = broadcast(0.0f);
  const auto take = [&](Vec v) {
    top = maximum(maximum(v, sub(broadcast(0.0f), v)), top);
    strange = add(strange, sub(v, v));
  };
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) take(load(x + i));
  if (i < count) take(load_first(x + i, count - i));
  return reduce_max(top) + reduce_add(strange);
}

// Values of one group, zeros up to whole steps; their sum.
template <typename Format>
static inline int32_t quantise_values(const float* x, int64_t count, float factor,
                                      typename Format::Value* out) {
  constexpr int64_t kAtOnce = kWidth < 8 ? 8 : kWidth;  // whole steps and whole vectors
  int32_t sum = 0;
  int64_t i = 0;
  if constexpr (sizeof(typename Format::Value) == sizeof(int8_t)) {
    Ints sums = broadcast_int(0);
    for (; i + kAtOnce <= count; i += kAtOnce) {
      for (int64_t j = i; j < i + kAtOnce; j += kWidth) {
        const Ints whole = to_ints(round_to_int(mul(load(x + j), broadcast(factor))));
        store_bytes(out + j, whole);
        sums = sum_of(sums, whole);
      }
    }
    int32_t each[kWidth];
    store_ints(each, sums);
    for (const int32_t lane : each) sum += lane;
  }
  for (; i < count; i += kAtOnce) {
    int32_t whole[kAtOnce] = {};
    for (int64_t j = 0; j < min_of(kAtOnce, count - i); j += kWidth) {
      const int64_t rest = count - i - j;
      const Vec v = rest >= kWidth ? load(x + i + j) : load_first(x + i + j, rest);
      store_ints(whole + j, to_ints(round_to_int(mul(v, broadcast(factor)))));
    }
    const int64_t room = ceil_div(min_of(kAtOnce, count - i), Format::kStep) * Format::kStep;
    for (int64_t j = 0; j < room; ++j) {
      out[i + j / 4 * 4 + Format::kPlace[j % 4]] = static_cast<typename Format::Value>(whole[j]);
      sum += whole[j];
    }
  }
  return sum;
}

// A group with NaN or an infinity in it has the scale NaN, and so the row's every result is NaN.
template <typename Format>
static void quantise_row(const float* x, const PackedShape& shape, std::byte* row) {
  // Below this 127 / magnitude may be infinite: such groups count as zeros.
  constexpr float kSmallest = 0x1p-118f;
  const QuantisedShape parts = quantised_shape<Format>(shape);
  auto* values = reinterpret_cast<typename Format::Value*>(row);
  auto* scales = reinterpret_cast<float*>(row + parts.scales);
  auto* biases = reinterpret_cast<int32_t*>(row + parts.biases);
  for (int64_t g = 0; g < shape.groups; ++g) {
    const float* group = x + g * shape.group;
    const int64_t count = min_of(shape.group, shape.columns - g * shape.group);
    auto* out = values + g * shape.group_steps * Format::kStep;
    const float magnitude = magnitude_of(group, count);
    if (magnitude >= kSmallest) {
      scales[g] = magnitude / 127;
      biases[g] = -Format::kBias * quantise_values<Format>(group, count, 127 / magnitude, out);
    } else {
      scales[g] = magnitude * 0;
      biases[g] = 0;
      memset(out, 0, static_cast<size_t>(steps_of(shape, g) * Format::kStep) * sizeof(*out));
    }
  }
}

// Quantised rows: `count` of them, `stride` bytes apart, or those that `index` names.
struct QuantisedRows {
  const std::byte* base;
  int64_t stride;
  const int32_t* index;
  int64_t count;

  const std::byte* operator[](int64_t i) const {
    return base + (index != nullptr ? int64_t{index[i]} : i) * stride;
  }
  QuantisedRows from(int64_t begin, int64_t rows) const {
    return index != nullptr ? QuantisedRows{base, stride, index + begin, rows}
                            : QuantisedRows{base + begin * stride, stride, nullptr, rows};
  }
};

// Quantises rows [0, rows), `stride` floats apart, for products with such a weight into `memory`.
static inline QuantisedRows quantise(ThreadPool& pool, const float* x, int64_t stride, int64_t rows,
                                     const fathom_weight& w, std::byte* memory) {
  const int64_t bytes = quantised_bytes(w);
  with_packed_format(w.dtype, [&](auto format) {
    const PackedShape shape = packed_shape(w);
    for_rows(pool, rows, shape.columns, [&](int64_t r, int) {
      quantise_row<decltype(format)>(x + r * stride, shape, memory + r * bytes);
    });
  });
  return {memory, bytes, nullptr, rows};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
