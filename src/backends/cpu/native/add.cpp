#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

void add(ThreadPool& pool, const fathom_add_args& args) {
  const int64_t columns = args.x.shape[1];
  for_rows(pool, args.x.shape[0], columns, [&](int64_t t, int) {
    float* x = row_of(args.x, t);
    map(x, row_of(args.y, t), x, columns, [](Vec a, Vec b) { return add(a, b); });
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
