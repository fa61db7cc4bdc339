#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"

extern "C" double log(double);

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

float greatest(const float* v, int64_t count) {
  Vec top = broadcast(v[0]);
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) top = maximum(load(v + i), top);
  float result = reduce_max(top);
  for (; i < count; ++i) result = v[i] > result ? v[i] : result;
  return result;
}

// sum of e^(v - top): in F32 over short parts, whose sums are added in float64.
double sum_of_exp(const float* v, int64_t count, float top) {
  constexpr int64_t kPart = 1024;
  double total = 0;
  for (int64_t from = 0; from < count; from += kPart) {
    const int64_t to = min_of(count, from + kPart);
    Vec sum = broadcast(0.0f);
    int64_t i = from;
    for (; i + kWidth <= to; i += kWidth) sum = add(sum, exp(sub(load(v + i), broadcast(top))));
    float part = reduce_add(sum);
    for (; i < to; ++i) part += exp(v[i] - top);
    total += part;
  }
  return total;
}

}  // namespace

void logits_stats(ThreadPool& pool, const fathom_logits_stats_args& args) {
  const int64_t vocab = args.logits.shape[1];
  for_rows(pool, args.logits.shape[0], vocab, [&](int64_t t, int) {
    const float* logits = row_of(args.logits, t);
    const float top = greatest(logits, vocab);
    int64_t index = 0;
    while (index < vocab - 1 && logits[index] != top) ++index;
    args.max_value[t] = top;
    args.max_index[t] = static_cast<int32_t>(index);
    args.log_sum_exp[t] = static_cast<float>(top + log(sum_of_exp(logits, vocab, top)));
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
