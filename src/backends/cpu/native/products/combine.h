// Weighted sums of a panel's rows: sums[r] += sum over i of p[r, i] * panel[i], i rising. Each
// element has one chain of additions, whatever the tiles and however the i are cut into calls.
#pragma once

#include "backends/cpu/native/products/dot.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

template <int R, int C>
static inline void combine_tile(const Rows& p, Panel panel, int64_t begin, int64_t end, float* sums,
                                int64_t stride) {
  Sums<R, C> tile;
  const float* factors[R];
  unrolled<R>([&](auto r) __attribute__((always_inline)) {
    factors[r.value] = p[r.value];
    unrolled<C>([&](auto c) __attribute__((always_inline)) {
      tile.at[r.value][c.value] = load(sums + r.value * stride + c.value * kWidth);
    });
  });
  for (int64_t i = begin; i < end; ++i) {
    Vec values[C];
    unrolled<C>([&](auto c) __attribute__((always_inline)) {
      values[c.value] = load(panel.data + i * panel.stride + c.value * kWidth);
      hold(values[c.value]);
    });
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      Vec factor = broadcast(factors[r.value][i]);
      hold(factor);
      unrolled<C>([&](auto c) __attribute__((always_inline)) {
        Vec& sum = tile.at[r.value][c.value];
        sum = fma(factor, values[c.value], sum);
      });
    });
  }
  unrolled<R * C>([&](auto i) {
    constexpr int r = i.value / C, c = i.value % C;
    store(sums + r * stride + c * kWidth, tile.at[r][c]);
  });
}

// Columns are whole vectors: `columns` of sums and panel, a multiple of kWidth.
template <int R>
static inline void combine_rows(const Rows& p, Panel panel, int64_t begin, int64_t end,
                                int64_t columns, float* sums, int64_t stride) {
  constexpr int kColumns = R == 1 ? 8 : kTileColumns;
  int64_t c = 0;
  for (; c + kColumns * kWidth <= columns; c += kColumns * kWidth) {
    combine_tile<R, kColumns>(p, {panel.data + c, panel.stride}, begin, end, sums + c, stride);
  }
  for (; c < columns; c += kWidth) {
    combine_tile<R, 1>(p, {panel.data + c, panel.stride}, begin, end, sums + c, stride);
  }
}

// Panel rows [0, count[r]) for each row r; `count` rises with r.
static void combine(const Rows& p, Panel panel, const int64_t* count, int64_t columns, float* sums,
                    int64_t stride) {
  int64_t r = 0;
  for (; r + kTileRows <= p.count; r += kTileRows) {
    const int64_t shared = count[r];
    combine_rows<kTileRows>(p.from(r, kTileRows), panel, 0, shared, columns, sums + r * stride,
                            stride);
    for (int64_t own = r; own < r + kTileRows; ++own) {
      if (count[own] > shared) {
        combine_rows<1>(p.from(own, 1), panel, shared, count[own], columns, sums + own * stride,
                        stride);
      }
    }
  }
  for (; r < p.count; ++r) {
    combine_rows<1>(p.from(r, 1), panel, 0, count[r], columns, sums + r * stride, stride);
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
