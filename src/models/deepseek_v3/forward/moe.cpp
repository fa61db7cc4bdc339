#include "models/deepseek_v3/forward/moe.h"

#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {

Status mlp(Step& step, const MlpWeights& w) {
  auto& at = step.at;
  const Tensor gate = device::columns(at.gate, 0, w.w1.n);
  const Tensor up = device::columns(at.up, 0, w.w3.n);
  FATHOM_TRY(ops::linear(step.ops, at.normed, w.w1, gate));  // [T, I]
  FATHOM_TRY(ops::linear(step.ops, at.normed, w.w3, up));    // [T, I]
  FATHOM_TRY(ops::silu_mul(step.ops, gate, up, gate));       // [T, I]
  return ops::linear(step.ops, gate, w.w2, at.x);            // [T, H]
}

namespace {

// V3 scales its weights whether or not it normalised them; V2's released code scales only those it
// did not normalise. With one expert a token neither normalises.
ops::MoeGate gate_of(const Step& step, const MoeWeights& weights) {
  const Config& config = step.config;
  const bool normalize = config.norm_topk_prob && config.num_experts_per_tok > 1;
  const bool scales = config.gate_kind == FATHOM_GATE_NOAUX_TC || !normalize;
  return {.kind = config.gate_kind,
          .bias = weights.bias,
          .top_k = config.num_experts_per_tok,
          .num_groups = config.n_group,
          .top_groups = config.topk_group,
          .normalize = normalize,
          .scale = scales ? config.routed_scaling_factor : 1.0f,
          .rows = step.in.rows,
          .loads = step.counts->totals(step.layer)};
}

}  // namespace

Status moe(Step& step, const MoeWeights& w) {
  auto& at = step.at;
  FATHOM_TRY(ops::linear(step.ops, at.normed, w.gate, at.router));  // [T, experts]
  FATHOM_TRY(ops::moe_gate(step.ops, at.router, gate_of(step, w), at.expert_ids,
                           at.expert_weights));    // [T, top_k]
  if (w.shared) FATHOM_TRY(mlp(step, *w.shared));  // [T, H]
  const auto accumulate = w.shared ? ops::Accumulate::kAdd : ops::Accumulate::kOverwrite;
  if (step.exchange != nullptr) return step.exchange->run(step, w, accumulate);
  return ops::moe_experts(step.ops, at.normed, at.expert_ids, at.expert_weights,
                          step.config.num_experts_per_tok, experts_of(w), accumulate,
                          at.x);  // [T, H]
}

}  // namespace fathom::models::deepseek_v3
