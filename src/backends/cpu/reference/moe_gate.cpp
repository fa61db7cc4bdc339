#include <cmath>
#include <memory>

#include "backends/cpu/kernels/moe_choose.h"
#include "backends/cpu/kernels/moe_gate_limits.h"
#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/kernels.h"
#include "backends/cpu/reference/softmax.h"

namespace fathom::cpu::reference {
namespace {

struct Scratch {
  double scores[kMaxGateExperts];
  double choice[kMaxGateExperts];
  double groups[kMaxGateExperts];
  bool taken[kMaxGateExperts];
  bool group_taken[kMaxGateExperts];
};
static_assert(sizeof(Scratch) <= ThreadPool::kScratchBytes);

void choose(const fathom_moe_gate_args& args, int64_t t, Scratch& scratch) {
  const int64_t experts = args.logits.shape[1];
  const float* logits = row_of(args.logits, t);
  for (int64_t e = 0; e < experts; ++e) {
    scratch.scores[e] =
        args.kind == FATHOM_GATE_NOAUX_TC ? 1.0 / (1.0 + std::exp(-double{logits[e]})) : logits[e];
  }
  if (args.kind != FATHOM_GATE_NOAUX_TC) softmax(scratch.scores, experts);
  const bool biased = args.kind == FATHOM_GATE_NOAUX_TC && args.bias != nullptr;
  for (int64_t e = 0; e < experts; ++e) {
    scratch.choice[e] = scratch.scores[e] + (biased ? args.bias[e] : 0.0f);
  }
  choose_experts<double>(args, scratch.scores,
                         {scratch.choice, scratch.groups, scratch.taken, scratch.group_taken},
                         args.expert_ids + t * args.top_k, args.expert_weights + t * args.top_k);
}

}  // namespace

void moe_gate(ThreadPool& pool, const fathom_moe_gate_args& args) {
  const int64_t rows = choosing_rows(args);
  parallel_for(pool, rows, [&](int64_t t, int thread) {
    choose(args, t, *reinterpret_cast<Scratch*>(pool.scratch(thread)));
  });
  choose_nothing(args, rows);
  count_loads(args, rows);
}

}  // namespace fathom::cpu::reference
