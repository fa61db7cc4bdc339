#include "models/deepseek_v3/step.h"

namespace fathom::models::deepseek_v3 {

Status block(Step& step, const BlockWeights& w, const fathom_kv_cache& cache, StreamInput input) {
  auto& at = step.at;
  const float eps = step.config.rms_norm_eps;
  if (input == StreamInput::kResidualOnly) {
    FATHOM_TRY(ops::rms_norm(step.ops, at.residual, w.attn_norm, eps, at.normed));
  } else {
    FATHOM_TRY(ops::add_rms_norm(step.ops, at.x, at.residual, w.attn_norm, eps, at.normed));
  }
  FATHOM_TRY(attention(step, w.attn, cache));           // x [T, H], of this rank's heads
  FATHOM_TRY(all_reduce(step, "attention_out", at.x));  // x [T, H], of all
  FATHOM_TRY(ops::add_rms_norm(step.ops, at.x, at.residual, w.ffn_norm, eps, at.normed));
  FATHOM_TRY(w.moe ? moe(step, *w.moe) : mlp(step, *w.mlp));  // x [T, H], of this rank's part
  return all_reduce(step, "ffn_out", at.x);                   // x [T, H]
}

}  // namespace fathom::models::deepseek_v3
