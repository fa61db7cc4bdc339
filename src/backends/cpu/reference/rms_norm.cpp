#include <cmath>

#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {

void rms_norm(ThreadPool& pool, const fathom_rms_norm_args& args) {
  const int64_t columns = args.x.shape[1];
  parallel_for(pool, args.x.shape[0], [&](int64_t t, int) {
    const float* v = row_of(args.x, t);
    if (args.residual.data != nullptr) {
      float* residual = row_of(args.residual, t);
      for (int64_t i = 0; i < columns; ++i) residual[i] += v[i];
      v = residual;
    }
    double sum = 0;
    for (int64_t i = 0; i < columns; ++i) sum += double{v[i]} * v[i];
    const double norm = 1.0 / std::sqrt(sum / static_cast<double>(columns) + args.eps);
    float* out = row_of(args.out, t);
    for (int64_t i = 0; i < columns; ++i) {
      out[i] = static_cast<float>(v[i] * norm * args.weight[i]);
    }
  });
}

}  // namespace fathom::cpu::reference
