#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {

void add(ThreadPool& pool, const fathom_add_args& args) {
  parallel_for(pool, args.x.shape[0], [&](int64_t t, int) {
    float* x = row_of(args.x, t);
    const float* y = row_of(args.y, t);
    for (int64_t i = 0; i < args.x.shape[1]; ++i) x[i] += y[i];
  });
}

}  // namespace fathom::cpu::reference
