#include <cmath>

#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {

void logits_stats(ThreadPool& pool, const fathom_logits_stats_args& args) {
  const int64_t vocab = args.logits.shape[1];
  parallel_for(pool, args.logits.shape[0], [&](int64_t t, int) {
    const float* logits = row_of(args.logits, t);
    int64_t best = 0;
    for (int64_t i = 1; i < vocab; ++i) {
      if (logits[i] > logits[best]) best = i;
    }
    double sum = 0;
    for (int64_t i = 0; i < vocab; ++i) sum += std::exp(double{logits[i]} - logits[best]);
    args.max_value[t] = logits[best];
    args.max_index[t] = static_cast<int32_t>(best);
    args.log_sum_exp[t] = static_cast<float>(logits[best] + std::log(sum));
  });
}

}  // namespace fathom::cpu::reference
