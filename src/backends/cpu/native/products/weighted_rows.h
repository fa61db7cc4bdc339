// Sums of weight rows, out += x W for a range of W's rows, with so few rows of x that weights are
// converted where they are used. The same bits as combine() of a panel of them.
#pragma once

#include "backends/cpu/native/products/dot.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

constexpr int kMostWeightings = 2;  // rows of x
constexpr int kWeightedVectors = 8;
constexpr int64_t kWeightedColumns = kWeightedVectors * kWidth;

// Whether add_weighted_rows() takes the first `columns` of such weights.
template <typename Format>
static inline bool takes_few_weightings(const fathom_weight& w, int64_t columns) {
  return columns % kWeightedColumns == 0 && scale_run<Format>(w) % kWeightedColumns == 0;
}

template <typename Format>
[[gnu::always_inline]] static inline void read_vectors(typename Format::Pointer p,
                                                       Vec (&out)[kWeightedVectors]) {
  if constexpr (requires { Format::kBlock; }) {
    constexpr int kBlocks = kWeightedVectors / Format::kBlock;
    unrolled<kBlocks>([&](auto b) __attribute__((always_inline)) {
      Vec block[Format::kBlock];
      Format::read_block(p + b.value * block_elements<Format>(), block);
      unrolled<Format::kBlock>([&](auto v) __attribute__((always_inline)) {
        out[b.value * Format::kBlock + v.value] = block[v.value];
      });
    });
  } else {
    unrolled<kWeightedVectors>([&](auto v) __attribute__((always_inline)) {
      out[v.value] = Format::read(p + v.value * kWidth);
    });
  }
}

// Columns from `k` on, kWeightedColumns of them, for R rows of x.
template <typename Format, int R>
static inline void add_weighted_columns(const Rows& x, const fathom_weight& w, int64_t first,
                                        int64_t count, int64_t k, Output out) {
  constexpr int V = kWeightedVectors;
  constexpr int64_t kRowsAhead = 16;
  const int64_t run = k / scale_run<Format>(w);
  const float* factors[R];
  for (int r = 0; r < R; ++r) factors[r] = x[r];
  Vec sums[R][V];
  unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
    sums[i.value / V][i.value % V] =
        load(out.data + i.value / V * out.stride + k + i.value % V * kWidth);
  });
  for (int64_t begin = 0; begin < count; begin += kRowsAhead) {
    const float* scales[kRowsAhead] = {};
    scale_rows<Format>(w, first + begin, scales);
    for (int64_t i = begin; i < min_of(count, begin + kRowsAhead); ++i) {
      const auto data = weight_row<Format>(w, first + i) + k;
      prefetch(data + kRowsAhead * w.k, kWeightedColumns);
      Vec scale = scales_at<Format>(w, scales[i - begin], run);
      spread_nan<Format>(data, 1, 0, kWeightedColumns, &scale);
      Vec values[V];
      read_vectors<Format>(data, values);
      unrolled<V>([&](auto v) __attribute__((always_inline)) {
        const Vec value = scaled<Format>(values[v.value], scale);
        unrolled<R>([&](auto r) __attribute__((always_inline)) {
          Vec& sum = sums[r.value][v.value];
          sum = fma(broadcast(factors[r.value][i]), value, sum);
        });
      });
    }
  }
  unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
    store(out.data + i.value / V * out.stride + k + i.value % V * kWidth,
          sums[i.value / V][i.value % V]);
  });
}

// out[r][k] += the sum over i in [0, count) of x[r][i] * w[first + i][k], in rising order of i, for
// k in [0, columns) and up to kMostWeightings rows of x.
template <typename Format>
static void add_weighted_rows(const Rows& x, const fathom_weight& w, int64_t first, int64_t count,
                              int64_t columns, Output out) {
  with_count<kMostWeightings>(x.count, [&](auto rows) {
    for (int64_t k = 0; k < columns; k += kWeightedColumns) {
      add_weighted_columns<Format, decltype(rows)::value>(x, w, first, count, k, out);
    }
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
