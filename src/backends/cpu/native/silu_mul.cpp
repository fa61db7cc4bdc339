#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

void silu_mul(ThreadPool& pool, const fathom_silu_mul_args& args) {
  const int64_t columns = args.gate.shape[1];
  for_rows(pool, args.gate.shape[0], columns, [&](int64_t t, int) {
    map(row_of(args.gate, t), row_of(args.up, t), row_of(args.out, t), columns,
        [](Vec gate, Vec up) { return mul(silu(gate), up); });
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
