// out = x W^T for a range of W's rows, on one thread: how LINEAR, the experts and MLA multiply.
#pragma once

#include <cstddef>

#include "backends/cpu/host/thread_pool.h"
#include "backends/cpu/native/products/fp8_gemm.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// With this many rows or fewer, weights are converted where they are used. With more, a panel of
// them is converted once to F32 and used for all rows.
constexpr int64_t kDirectRows = 8;
// A panel of 48 x 512 weights takes 96 KiB, and the sums of 64 rows with it as much again or twice:
// together they stay in a second-level cache.
constexpr int64_t kPanelRows = 64;
constexpr int64_t kPanelOutputs = 48;
constexpr int64_t kPanelColumns = 512;

struct GemmScratch {
  alignas(64) float panel[kPanelOutputs * kPanelColumns];  // of F32, or of bf16 for split rows
  alignas(64) float sums[kPanelRows * kPanelOutputs * kWidth];
};
static_assert(sizeof(GemmScratch) <= ThreadPool::kScratchBytes / 2);

static inline GemmScratch& gemm_scratch(ThreadPool& pool, int thread) {
  return *reinterpret_cast<GemmScratch*>(pool.scratch(thread));
}

template <typename Format, int R, int C>
static inline void direct_rows(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end,
                               Output out) {
  int64_t j = begin;
  for (; j + C <= end; j += C) dot_tile<Format, R, C>(x, w, j, out.from(0, j - begin));
  for (; j < end; ++j) dot_tile<Format, R, 1>(x, w, j, out.from(0, j - begin));
}

template <typename Format>
static void gemm_direct(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end,
                        Output out) {
  constexpr int kRows = 4;
  constexpr int kColumns = FATHOM_CPU_BITS == 512 ? 6 : kTileColumns;
  for (int64_t r = 0; r < x.count; r += kRows) {
    const Rows rows = x.from(r, min_of(kRows, x.count - r));
    const Output to = out.from(r, 0);
    with_count<kRows>(rows.count, [&](auto count) {
      constexpr int R = decltype(count)::value;
      direct_rows<Format, R, (R == 1 ? 8 : R < kRows ? 4 : kColumns)>(rows, w, begin, end, to);
    });
  }
}

// No more than kPanelRows rows and kPanelOutputs outputs.
template <typename Format>
static void gemm_panel(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end,
                       Output out, GemmScratch& scratch) {
  for (int64_t from = 0; from < w.k; from += kPanelColumns) {
    const int64_t to = min_of(w.k, from + kPanelColumns);
    const Panel panel = {scratch.panel, padded(to - from)};
    for (int64_t j = begin; j < end; ++j) {
      read_row<Format>(w, j, from, to, scratch.panel + (j - begin) * panel.stride);
    }
    const Rows columns = {x.base + from, x.stride, x.index, x.count};
    const Part part = {from == 0, to == w.k, scratch.sums, kPanelOutputs * kWidth};
    dot_panel(columns, panel, end - begin, to - from, part, out);
  }
}

#if FATHOM_CPU_BF16 && FATHOM_CPU_VBMI
// The same with split rows, by whole runs of columns with one scale.
static void gemm_fp8_panel(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end,
                           Output out, GemmScratch& scratch) {
  static_assert(kMostRunColumns <= kPanelColumns);
  const int64_t columns = kPanelColumns / w.block_k * w.block_k;
  auto* numbers = reinterpret_cast<uint16_t*>(scratch.panel);
  for (int64_t from = 0; from < w.k; from += columns) {
    const int64_t to = min_of(w.k, from + columns);
    for (int64_t j = begin; j < end; ++j) {
      read_halves(w, j, from, to, numbers + (j - begin) * columns);
    }
    const Part part = {from == 0, to == w.k, scratch.sums, kPanelOutputs * kWidth};
    fp8_panel(x, {w, begin, from, to, numbers, columns}, end - begin, part, out);
  }
}

static void gemm_fp8(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end, Output out,
                     GemmScratch& scratch) {
  if (x.count <= kDirectRows) return gemm_fp8_direct(x, w, begin, end, out);
  gemm_fp8_panel(x, w, begin, end, out, scratch);
}
#endif

static void gemm_part(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end, Output out,
                      GemmScratch& scratch) {
#if FATHOM_CPU_BF16 && FATHOM_CPU_VBMI
  if (takes_split_rows(w)) return gemm_fp8(x, w, begin, end, out, scratch);
#endif
  with_format(w.dtype, [&](auto format) {
    using Format = decltype(format);
    if (x.count <= kDirectRows) {
      gemm_direct<Format>(x, w, begin, end, out);
    } else {
      gemm_panel<Format>(x, w, begin, end, out, scratch);
    }
  });
}

// out[r, j - begin] = x[r] . w[j] for each row and each j in [begin, end). Rows are split where
// takes_split_rows(w).
static void gemm(const Rows& x, const fathom_weight& w, int64_t begin, int64_t end, Output out,
                 GemmScratch& scratch) {
  for (int64_t j = begin; j < end; j += kPanelOutputs) {
    const int64_t to = min_of(end, j + kPanelOutputs);
    for (int64_t r = 0; r < x.count; r += kPanelRows) {
      const Rows rows = x.from(r, min_of(kPanelRows, x.count - r));
      gemm_part(rows, w, j, to, out.from(r, j - begin), scratch);
    }
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
