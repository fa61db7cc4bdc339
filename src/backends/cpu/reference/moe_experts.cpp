#include "backends/cpu/kernels/expert_weights.h"
#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {
namespace {

// A thread's scratch: one expert's hidden values [I], a token's sum [H].
int64_t scratch_doubles(const fathom_moe_experts_args& args) {
  return args.x.shape[1] + (args.num_experts > 0 ? args.gate.n : 0);
}

template <typename T>
double dot(const fathom_weight& w, int64_t row, const T* x) {
  double sum = 0;
  for (int64_t i = 0; i < w.k; ++i) sum += weight_value(w, row, i) * x[i];
  return sum;
}

// sum += weight * expert(x).
void add_expert(const fathom_moe_experts_args& args, int64_t e, double weight, const float* x,
                double* hidden, double* sum) {
  const fathom_weight gate = gate_of(args, e);
  const fathom_weight up = up_of(args, e);
  const fathom_weight down = down_of(args, e);
  for (int64_t i = 0; i < gate.n; ++i) hidden[i] = silu(dot(gate, i, x)) * dot(up, i, x);
  for (int64_t i = 0; i < down.n; ++i) sum[i] += weight * dot(down, i, hidden);
}

}  // namespace

size_t moe_experts_workspace(int threads, const fathom_moe_experts_args& args) {
  return static_cast<size_t>(scratch_doubles(args)) * sizeof(double) * static_cast<size_t>(threads);
}

void moe_experts(ThreadPool& pool, const fathom_moe_experts_args& args) {
  const int64_t columns = args.x.shape[1];
  const int64_t scratch = scratch_doubles(args);
  parallel_for(pool, args.x.shape[0], [&](int64_t t, int thread) {
    double* sum = static_cast<double*>(args.workspace) + scratch * thread;
    float* out = row_of(args.out, t);
    for (int64_t i = 0; i < columns; ++i) sum[i] = args.accumulate != 0 ? out[i] : 0.0;
    for (int64_t j = t * args.top_k; j < (t + 1) * args.top_k; ++j) {
      const int64_t e = args.expert_ids[j] - args.first_expert;
      if (e < 0 || e >= args.num_experts) continue;
      add_expert(args, e, args.expert_weights[j], row_of(args.x, t), sum + columns, sum);
    }
    for (int64_t i = 0; i < columns; ++i) out[i] = static_cast<float>(sum[i]);
  });
}

}  // namespace fathom::cpu::reference
