// Products of split rows with FP8 weights, which bf16 holds exactly, on one thread. The sum over
// a run of columns with one scale is one chain of additions in rising order of columns' blocks; the
// runs' sums, times their scales, are added in rising order: a row has the same bits in any tile.
#pragma once

#include "backends/cpu/native/products/split_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16 && FATHOM_CPU_VBMI

// A block of 64 weights in the order of split_row(), divided by kFp8Factor.
struct Bf16Block {
  Ints half[2];
};
[[gnu::always_inline]] static inline Bf16Block load_fp8_halves(const uint8_t* p) {
  const auto [low, high] = look_up_fp8(_mm512_loadu_si512(p));
  return {{lanes(_mm512_unpacklo_epi8(low, high)), lanes(_mm512_unpackhi_epi8(low, high))}};
}

// Adds the products of half a block.
[[gnu::always_inline]] static inline Vec add_half(Vec sum, Ints weights, Ints nearest, Ints rest) {
  return add_bf16(add_bf16(sum, weights, nearest), weights, rest);
}

template <int R, int C>
[[gnu::always_inline]] static inline void clear(Sums<R, C>& sums) {
  unrolled<R * C>([&](auto i) __attribute__((always_inline)) {
    sums.at[i.value / C][i.value % C] = broadcast(0.0f);
  });
}

// totals += sums, each column's times its scale for the run.
template <int R, int C>
[[gnu::always_inline]] static inline void add_scaled(const fathom_weight& w,
                                                     const float* const (&scales)[C], int64_t run,
                                                     const Sums<R, C>& sums, Sums<R, C>& totals) {
  unrolled<C>([&](auto c) __attribute__((always_inline)) {
    const Vec scale = scales_at<Fp8Format>(w, scales[c.value], run);
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      Vec& total = totals.at[r.value][c.value];
      total = fma(sums.at[r.value][c.value], scale, total);
    });
  });
}

// Dots of R rows with one weight row, where it lies.
template <int R>
[[gnu::always_inline]] static inline void fp8_dot(const float* const (&rows)[R],
                                                  const fathom_weight& w, int64_t column,
                                                  const float* scales, Sums<R, 1>& totals) {
  constexpr int64_t kAhead = 4096;  // bytes, about what comes from memory in its latency
  const auto* data = weight_row<Fp8Format>(w, column);
  const float* const of_column[] = {scales};
  clear(totals);
  for (int64_t k = 0, run = 0; k < w.k; ++run) {
    const int64_t end = min_of(w.k, k + w.block_k);
    Sums<R, 1> sums;
    clear(sums);
    for (; k < end; k += kBlockColumns) {
      __builtin_prefetch(data + k + kAhead);
      const Bf16Block block = load_fp8_halves(data + k);
      unrolled<2 * R>([&](auto i) __attribute__((always_inline)) {
        constexpr int r = i.value / 2, half = i.value % 2;
        Vec& sum = sums.at[r][0];
        const float* at = rows[r] + k + half * kHalfFloats;
        sum = add_half(sum, block.half[half], load_ints(at), load_ints(at + kWidth));
      });
    }
    add_scaled(w, of_column, run, sums, totals);
  }
}

// Dots of R rows with weight rows [column, column + C), which are read one after the other.
template <int R, int C>
static inline void fp8_dots(const Rows& x, const fathom_weight& w, int64_t column, Output out) {
  const float* scales[C] = {};
  scale_rows<Fp8Format>(w, column, scales);
  const float* rows[R];
  for (int r = 0; r < R; ++r) rows[r] = x[r];
  Sums<R, C> totals;
  for (int c = 0; c < C; ++c) {
    Sums<R, 1> total;
    fp8_dot<R>(rows, w, column + c, scales[c], total);
    for (int r = 0; r < R; ++r) totals.at[r][c] = total.at[r][0];
  }
  reduce(totals, out);
}

static void gemm_fp8_direct(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end,
                            Output out) {
  constexpr int kRows = 4, kColumns = 8;
  for (int64_t r = 0; r < x.count; r += kRows) {
    const Rows rows = x.from(r, min_of(kRows, x.count - r));
    const Output to = out.from(r, 0);
    with_count<kRows>(rows.count, [&](auto count) {
      constexpr int R = decltype(count)::value;
      int64_t j = begin;
      for (; j + kColumns <= end; j += kColumns) {
        fp8_dots<R, kColumns>(rows, w, j, to.from(0, j - begin));
      }
      for (; j < end; ++j) fp8_dots<R, 1>(rows, w, j, to.from(0, j - begin));
    });
  }
}

// Columns [from, to) of weight rows from `begin` on in bf16, `stride` numbers apart.
struct Bf16Panel {
  const fathom_weight& w;
  int64_t begin;
  int64_t from;
  int64_t to;
  const uint16_t* data;
  int64_t stride;
};

static inline void read_halves(const fathom_weight& w, int64_t row, int64_t from, int64_t to,
                               uint16_t* out) {
  const auto* data = weight_row<Fp8Format>(w, row);
  for (int64_t k = from; k < to; k += kBlockColumns, out += kBlockColumns) {
    constexpr int64_t kRowsAhead = 4;
    __builtin_prefetch(data + kRowsAhead * w.k + k);
    const Bf16Block block = load_fp8_halves(data + k);
    store_ints(reinterpret_cast<int32_t*>(out), block.half[0]);
    store_ints(reinterpret_cast<int32_t*>(out) + kWidth, block.half[1]);
  }
}

constexpr int kFp8TileRows = 6;
constexpr int kFp8TileColumns = 3;

// Dots of R rows with the panel's rows [j, j + C).
template <int R, int C>
[[gnu::noinline]] static void fp8_panel_tile(const Rows& x, const Bf16Panel& panel, int64_t j,
                                             Part part, Output out) {
  const fathom_weight& w = panel.w;
  const float* scales[C] = {};
  scale_rows<Fp8Format>(w, panel.begin + j, scales);
  const float* rows[R];
  for (int r = 0; r < R; ++r) rows[r] = x[r];
  const uint16_t* weights = panel.data + j * panel.stride;
  Sums<R, C> totals;
  unrolled<R * C>([&](auto i) {
    constexpr int r = i.value / C, c = i.value % C;
    totals.at[r][c] = part.first ? broadcast(0.0f) : load(part.sums + r * part.stride + c * kWidth);
  });
  for (int64_t k = panel.from; k < panel.to;) {
    const int64_t run = k / w.block_k;
    const int64_t end = min_of(panel.to, k + w.block_k);
    Sums<R, C> sums;
    clear(sums);
    for (; k < end; k += kHalfFloats, weights += kHalfFloats) {
      Ints columns[C];
      unrolled<C>([&](auto c) __attribute__((always_inline)) {
        columns[c.value] = load_ints(weights + c.value * panel.stride);
      });
      unrolled<R>([&](auto r) __attribute__((always_inline)) {
        const Ints nearest = load_ints(rows[r.value] + k);
        const Ints rest = load_ints(rows[r.value] + k + kWidth);
        unrolled<C>([&](auto c) __attribute__((always_inline)) {
          Vec& sum = sums.at[r.value][c.value];
          sum = add_half(sum, columns[c.value], nearest, rest);
        });
      });
    }
    add_scaled(w, scales, run, sums, totals);
  }
  if (part.last) return reduce(totals, out);
  unrolled<R * C>([&](auto i) {
    constexpr int r = i.value / C, c = i.value % C;
    store(part.sums + r * part.stride + c * kWidth, totals.at[r][c]);
  });
}

// Dots of all rows with the panel's `outputs` rows.
static void fp8_panel(const Rows& x, const Bf16Panel& panel, int64_t outputs, Part part,
                      Output out) {
  for (int64_t r = 0; r < x.count; r += kFp8TileRows) {
    const Rows rows = x.from(r, min_of(kFp8TileRows, x.count - r));
    with_count<kFp8TileRows>(rows.count, [&](auto count) {
      constexpr int R = decltype(count)::value, C = kFp8TileColumns;
      int64_t j = 0;
      for (; j + C <= outputs; j += C) {
        fp8_panel_tile<R, C>(rows, panel, j, part.from(r, j), out.from(r, j));
      }
      for (; j < outputs; ++j) {
        fp8_panel_tile<R, 1>(rows, panel, j, part.from(r, j), out.from(r, j));
      }
    });
  }
}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
