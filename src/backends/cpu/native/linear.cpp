#include "backends/cpu/native/gemm.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/tensor_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

// Outputs of one task: whole tiles, and enough work to be worth handing out.
int64_t outputs_at_once(const fathom_linear_args& args) {
  constexpr int64_t kProductsToShare = 32768;
  const int64_t products = max_of(1, args.x.shape[0]) * args.weight.k;
  const int64_t wanted = ceil_div(ceil_div(kProductsToShare, products), 8) * 8;
  return max_of(kPanelOutputs / 2, wanted);
}

}  // namespace

void linear(ThreadPool& pool, const fathom_linear_args& args) {
  const int64_t rows = args.x.shape[0];
  const bool panels = rows > kDirectRows;
  const int64_t outputs = panels ? kPanelOutputs : outputs_at_once(args);
  const int64_t row_blocks = ceil_div(rows, kPanelRows);
  const Rows x = {row_of(args.x, 0), args.x.stride[0], nullptr, rows};
  const Output out = {row_of(args.out, 0), args.out.stride[0]};
  const int64_t columns = ceil_div(args.weight.n, outputs);
  // Row blocks of the same weights follow each other, so that these stay in a shared cache.
  parallel_for(pool, columns * row_blocks, [&](int64_t task, int thread) {
    const int64_t j = task / row_blocks * outputs;
    const int64_t r = task % row_blocks * kPanelRows;
    gemm(x.from(r, min_of(kPanelRows, rows - r)), args.weight, j,
         min_of(args.weight.n, j + outputs), out.from(r, j), gemm_scratch(pool, thread));
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
