#include "backends/cpu/kernels/moe_choose.h"
#include "backends/cpu/kernels/moe_gate_limits.h"
#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

struct Scratch {
  float scores[kMaxGateExperts];
  float choice[kMaxGateExperts];
  float groups[kMaxGateExperts];
  bool taken[kMaxGateExperts];
  bool group_taken[kMaxGateExperts];
};
static_assert(sizeof(Scratch) <= ThreadPool::kScratchBytes);

void softmax(const float* logits, int64_t count, float* out) {
  float top = logits[0];
  for (int64_t i = 1; i < count; ++i) top = logits[i] > top ? logits[i] : top;
  map(logits, logits, out, count, [&](Vec v, Vec) { return exp(sub(v, broadcast(top))); });
  float sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += out[i];
  map(out, out, out, count, [&](Vec v, Vec) { return div(v, broadcast(sum)); });
}

void sigmoid(const float* logits, int64_t count, float* out) {
  const Vec one = broadcast(1.0f);
  map(logits, logits, out, count,
      [&](Vec v, Vec) { return div(one, add(one, exp(sub(broadcast(0.0f), v)))); });
}

void choose(const fathom_moe_gate_args& args, int64_t t, Scratch& scratch) {
  const int64_t experts = args.logits.shape[1];
  const bool noaux = args.kind == FATHOM_GATE_NOAUX_TC;
  (noaux ? sigmoid : softmax)(row_of(args.logits, t), experts, scratch.scores);
  const bool biased = noaux && args.bias != nullptr;
  for (int64_t e = 0; e < experts; ++e) {
    scratch.choice[e] = scratch.scores[e] + (biased ? args.bias[e] : 0.0f);
  }
  choose_experts<float>(args, scratch.scores,
                        {scratch.choice, scratch.groups, scratch.taken, scratch.group_taken},
                        args.expert_ids + t * args.top_k, args.expert_weights + t * args.top_k);
}

}  // namespace

void moe_gate(ThreadPool& pool, const fathom_moe_gate_args& args) {
  const int64_t work_a_row = args.logits.shape[1] * args.top_k;
  const int64_t rows = choosing_rows(args);
  for_rows(pool, rows, work_a_row, [&](int64_t t, int thread) {
    choose(args, t, *reinterpret_cast<Scratch*>(pool.scratch(thread)));
  });
  choose_nothing(args, rows);
  count_loads(args, rows);
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
