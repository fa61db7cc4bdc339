#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {

void embed(ThreadPool& pool, const fathom_embed_args& args) {
  parallel_for(pool, args.num_tokens, [&](int64_t t, int) {
    float* out = row_of(args.out, t);
    const int32_t token = args.tokens[t];
    for (int64_t i = 0; i < args.table.k; ++i) {
      out[i] = token < 0 ? 0.0f : static_cast<float>(weight_value(args.table, token, i));
    }
  });
}

}  // namespace fathom::cpu::reference
