#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {

void silu_mul(ThreadPool& pool, const fathom_silu_mul_args& args) {
  parallel_for(pool, args.gate.shape[0], [&](int64_t t, int) {
    const float* gate = row_of(args.gate, t);
    const float* up = row_of(args.up, t);
    float* out = row_of(args.out, t);
    for (int64_t i = 0; i < args.gate.shape[1]; ++i) {
      out[i] = static_cast<float>(silu(gate[i]) * up[i]);
    }
  });
}

}  // namespace fathom::cpu::reference
