#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/gemm.h"
#include "backends/cpu/native/products/packed_gemm.h"
#include "backends/cpu/native/products/shared_work.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

// Outputs handed out at once: whole tiles, and enough work to be worth it.
int64_t outputs_at_once(const fathom_weight& w, int64_t rows) {
  constexpr int64_t kTileOutputs = 8, kProductsAtOnce = 12288;
  if (rows > kDirectRows) return kPanelOutputs;
  return ceil_div(kProductsAtOnce, rows * w.k * kTileOutputs) * kTileOutputs;
}

void linear_rows(ThreadPool& pool, const fathom_weight& w, const Rows& x, Output out) {
  const int64_t outputs = outputs_at_once(w, x.count);
  const int64_t row_blocks = ceil_div(x.count, kPanelRows);
  // Row blocks of the same weights follow each other, so that these stay in a shared cache.
  const int64_t products = min_of(kPanelRows, x.count) * outputs * w.k;
  share_work(pool, ceil_div(w.n, outputs) * row_blocks, products, [&](int64_t task, int thread) {
    const int64_t j = task / row_blocks * outputs;
    const int64_t r = task % row_blocks * kPanelRows;
    gemm(x.from(r, min_of(kPanelRows, x.count - r)), w, j, min_of(w.n, j + outputs), out.from(r, j),
         gemm_scratch(pool, thread));
  });
}

// As many rows at once as there is room for where they are split.
void linear_rows(ThreadPool& pool, const fathom_linear_args& args) {
  const fathom_weight& w = args.weight;
  const int64_t rows = args.x.shape[0];
  const int64_t bytes = max_of(1, split_bytes(1, w));
  const int64_t at_once = static_cast<int64_t>(ThreadPool::kSharedScratchBytes) / bytes;
  for (int64_t r = 0; r < rows; r += at_once) {
    const Rows x = split(pool, row_of(args.x, r), args.x.stride[0], min_of(at_once, rows - r), w,
                         pool.shared_scratch());
    linear_rows(pool, w, x, {row_of(args.out, r), args.out.stride[0]});
  }
}

// A strip's results for all rows, while it stays in a second-level cache.
void strip_of_rows(const QuantisedRows& x, const fathom_weight& w, int64_t strip, Output out) {
  const int64_t columns = min_of(kStripOutputs, w.n - strip * kStripOutputs);
  StripSums sums;
  for (int64_t r = 0; r < x.count; r += kPackedRows) {
    const QuantisedRows rows = x.from(r, min_of(kPackedRows, x.count - r));
    packed_strip(rows, w, strip, strip_data(w, strip + 1), sums);
    for (int64_t i = 0; i < rows.count; ++i) {
      memcpy(out.from(r + i, strip * kStripOutputs).data, sums.at[i],
             static_cast<size_t>(columns) * sizeof(float));
    }
  }
}

void linear_packed(ThreadPool& pool, const fathom_linear_args& args) {
  const fathom_weight& w = args.weight;
  const int64_t rows = args.x.shape[0];
  const int64_t room = static_cast<int64_t>(ThreadPool::kSharedScratchBytes) / quantised_bytes(w);
  const int64_t rows_at_once = room > kPackedRows ? room / kPackedRows * kPackedRows : room;
  for (int64_t r = 0; r < rows; r += rows_at_once) {
    const QuantisedRows x = quantise(pool, row_of(args.x, r), args.x.stride[0],
                                     min_of(rows_at_once, rows - r), w, pool.shared_scratch());
    const Output out = {row_of(args.out, r), args.out.stride[0]};
    share_work(pool, ceil_div(w.n, kStripOutputs), x.count * kStripOutputs * w.k,
               [&](int64_t strip, int) { strip_of_rows(x, w, strip, out); });
  }
}

}  // namespace

void linear(ThreadPool& pool, const fathom_linear_args& args) {
  if (args.weight.layout == FATHOM_LAYOUT_ROWS) {
    linear_rows(pool, args);
  } else {
    linear_packed(pool, args);
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
