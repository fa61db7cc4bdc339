#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/norm.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

void rms_norm(ThreadPool& pool, const fathom_rms_norm_args& args) {
  const int64_t columns = args.x.shape[1];
  for_rows(pool, args.x.shape[0], columns, [&](int64_t t, int) {
    const float* v = row_of(args.x, t);
    if (args.residual.data != nullptr) {
      float* residual = row_of(args.residual, t);
      map(residual, v, residual, columns, [](Vec a, Vec b) { return add(a, b); });
      v = residual;
    }
    normalize(v, args.weight, args.eps, columns, row_of(args.out, t));
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
