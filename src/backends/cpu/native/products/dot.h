// Dot products with one vector of sums for each (row, output), added to in rising order of k and
// reduced in one fixed order. Tiles differ in how many of them run side by side, never in their
// bits: that is what makes a row's result independent of the other rows.
#pragma once

#include "backends/cpu/native/products/weight_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Rows of F32 activations: `count` of them, `stride` apart, or those that `index` names.
struct Rows {
  const float* base;
  int64_t stride;
  const int32_t* index;
  int64_t count;

  const float* operator[](int64_t i) const {
    return base + (index != nullptr ? int64_t{index[i]} : i) * stride;
  }
  Rows from(int64_t begin, int64_t rows) const {
    return index != nullptr ? Rows{base, stride, index + begin, rows}
                            : Rows{base + begin * stride, stride, nullptr, rows};
  }
};

struct Output {
  float* data;
  int64_t stride;

  Output from(int64_t row, int64_t column) const { return {data + row * stride + column, stride}; }
};

constexpr int kTileRows = FATHOM_CPU_BITS == 512 ? 8 : 4;

template <int R, int C>
struct Sums {
  Vec at[R][C];
};

// out[r, c] = the sum of at[r][c]'s lanes, in the order of reduce_add().
template <int R, int C>
[[gnu::always_inline]] static inline void reduce(const Sums<R, C>& sums, Output out) {
  constexpr int kGroups = R * C / 8;
  unrolled<kGroups>([&](auto group) __attribute__((always_inline)) {
    Vec eight[8];
    float each[8];
    unrolled<8>([&](auto i) __attribute__((always_inline)) {
      constexpr int at = 8 * group.value + i.value;
      eight[i.value] = sums.at[at / C][at % C];
    });
    reduce_add_8(eight, each);
    unrolled<8>([&](auto i) __attribute__((always_inline)) {
      constexpr int at = 8 * group.value + i.value;
      out.data[at / C * out.stride + at % C] = each[i.value];
    });
  });
  unrolled<R * C - 8 * kGroups>([&](auto i) __attribute__((always_inline)) {
    constexpr int r = (8 * kGroups + i.value) / C, c = (8 * kGroups + i.value) % C;
    out.data[r * out.stride + c] = reduce_add(sums.at[r][c]);
  });
}

// sums += x[r] . w[c] over a block of columns from `k` on, in the order of dot_run().
template <typename Format, int R, int C>
[[gnu::always_inline]] static inline void add_block(const float* const* x,
                                                    typename Format::Pointer w, int64_t stride,
                                                    const Vec* scales, int64_t k,
                                                    Sums<R, C>& sums) {
  unrolled<C>([&](auto c) __attribute__((always_inline)) {
    Vec weights[Format::kBlock];
    Format::read_block(w + c.value * stride, weights);
    unrolled<Format::kBlock>([&](auto v) __attribute__((always_inline)) {
      const Vec weight = mul(weights[v.value], scales[c.value]);
      unrolled<R>([&](auto r) __attribute__((always_inline)) {
        Vec& sum = sums.at[r.value][c.value];
        sum = fma(load(x[r.value] + k + v.value * kWidth), weight, sum);
      });
    });
  });
}

// sums += x[r] . w[c] over `count` columns: w rows lie `stride` elements apart, and each is
// multiplied by its own of `scales` where the format has any.
template <typename Format, int R, int C>
[[gnu::always_inline]] static inline void dot_run(const float* const* x, typename Format::Pointer w,
                                                  int64_t stride, const Vec* scales, int64_t count,
                                                  Sums<R, C>& sums) {
  const auto add = [&](auto row, auto weight) __attribute__((always_inline)) {
    Vec weights[C];
    unrolled<C>([&](auto c) __attribute__((always_inline)) {
      weights[c.value] = weight(w + c.value * stride);
      if constexpr (Format::kScaled) weights[c.value] = mul(weights[c.value], scales[c.value]);
    });
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      Vec value = row(x[r.value]);
      hold(value);
      unrolled<C>([&](auto c) __attribute__((always_inline)) {
        Vec& sum = sums.at[r.value][c.value];
        sum = fma(value, weights[c.value], sum);
      });
    });
  };
  int64_t k = 0;
  if constexpr (requires { Format::kBlock; }) {
    for (; k + block_elements<Format>() <= count; k += block_elements<Format>()) {
      add_block<Format, R, C>(x, w + k, stride, scales, k, sums);
    }
  }
  for (; k + kWidth <= count; k += kWidth) {
    add([&](const float* row) { return load(row + k); },
        [&](auto weights) { return Format::read(weights + k); });
  }
  if (k == count) return;
  add([&](const float* row) { return load_first(row + k, count - k); },
      [&](auto weights) { return Format::read_first(weights + k, count - k); });
}

// Dots of R rows with C weight rows from `column` on, read where they lie.
template <typename Format, int R, int C>
static inline void dot_tile(const Rows& x, const fathom_weight& w, int64_t column, Output out) {
  Sums<R, C> sums;
  unrolled<R * C>([&](auto i) { sums.at[i.value / C][i.value % C] = broadcast(0.0f); });
  const auto data = weight_row<Format>(w, column);
  const float* row_scales[C] = {};
  scale_rows<Format>(w, column, row_scales);
  const int64_t run_columns = scale_run<Format>(w);
  int64_t run = 0;
  for (int64_t from = 0; from < w.k; from += run_columns, ++run) {
    const float* values[R];
    Vec scales[C];
    for (int r = 0; r < R; ++r) values[r] = x[r] + from;
    unrolled<C>([&](auto c) __attribute__((always_inline)) {
      scales[c.value] = scales_at<Format>(w, row_scales[c.value], run);
    });
    const int64_t count = min_of(run_columns, w.k - from);
    // The next tile's rows, most likely, in the order of their addresses: one stream, which the
    // processor follows further ahead, where the tile's own C streams are too many for it.
    prefetch(data + C * (w.k + from), C * count);
    spread_nan<Format>(data + from, C, w.k, count, scales);
    dot_run<Format, R, C>(values, data + from, w.k, scales, count, sums);
  }
  reduce(sums, out);
}

// A panel: F32 rows `stride` apart, each padded with zeros to whole vectors.
struct Panel {
  const float* data;
  int64_t stride;
};

// Where a panel's columns stand in a longer dot: sums of the columns before are in `sums`, vectors
// of [row][output], unless this is the first part; they are left there unless it is the last.
struct Part {
  bool first = true;
  bool last = true;
  float* sums = nullptr;  // none where the part is the first and the last
  int64_t stride = 0;     // floats from one row of sums to the next

  Part from(int64_t row, int64_t output) const {
    if (sums == nullptr) return *this;
    return {first, last, sums + row * stride + output * kWidth, stride};
  }
};

template <int R, int C>
static inline void panel_tile(const Rows& x, Panel panel, int64_t count, Part part, Output out) {
  Sums<R, C> sums;
  const float* values[R];
  for (int r = 0; r < R; ++r) values[r] = x[r];
  unrolled<R * C>([&](auto i) {
    constexpr int r = i.value / C, c = i.value % C;
    sums.at[r][c] = part.first ? broadcast(0.0f) : load(part.sums + r * part.stride + c * kWidth);
  });
  dot_run<F32Format, R, C>(values, panel.data, panel.stride, nullptr, count, sums);
  if (part.last) return reduce(sums, out);
  unrolled<R * C>([&](auto i) {
    constexpr int r = i.value / C, c = i.value % C;
    store(part.sums + r * part.stride + c * kWidth, sums.at[r][c]);
  });
}

template <int R>
static inline void panel_rows(const Rows& x, Panel panel, int64_t outputs, int64_t count, Part part,
                              Output out) {
  int64_t j = 0;
  for (; j + kTileColumns <= outputs; j += kTileColumns) {
    panel_tile<R, kTileColumns>(x, {panel.data + j * panel.stride, panel.stride}, count,
                                part.from(0, j), out.from(0, j));
  }
  for (; j < outputs; ++j) {
    panel_tile<R, 1>(x, {panel.data + j * panel.stride, panel.stride}, count, part.from(0, j),
                     out.from(0, j));
  }
}

// out[r, j] = x[r] . panel[j] over `count` columns, for each row and the panel's `outputs` rows.
static void dot_panel(const Rows& x, Panel panel, int64_t outputs, int64_t count, Part part,
                      Output out) {
  for (int64_t r = 0; r < x.count; r += kTileRows) {
    const Rows rows = x.from(r, min_of(kTileRows, x.count - r));
    const Part at = part.from(r, 0);
    const Output to = out.from(r, 0);
    with_count<kTileRows>(rows.count, [&](auto count_of_rows) {
      panel_rows<count_of_rows.value>(rows, panel, outputs, count, at, to);
    });
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
