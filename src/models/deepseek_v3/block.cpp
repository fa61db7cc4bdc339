#include "models/deepseek_v3/step.h"

namespace fathom::models::deepseek_v3 {

Status block(Step& step, const BlockWeights& w, const fathom_kv_cache& cache, StreamInput input) {
  auto& at = step.at;
  const float eps = step.config.rms_norm_eps;
  const Tensor x = own_rows(step, at.x);
  const Tensor residual = own_rows(step, at.residual);
  const Tensor normed = own_rows(step, at.normed);
  if (input == StreamInput::kResidualOnly) {
    FATHOM_TRY(ops::rms_norm(step.ops, residual, w.attn_norm, eps, normed));
  } else {
    FATHOM_TRY(ops::add_rms_norm(step.ops, x, residual, w.attn_norm, eps, normed));
  }
  FATHOM_TRY(attention(step, w.attn, cache));         // x [T, H], of this rank's heads
  FATHOM_TRY(sum_rows(step, "attention_out", at.x));  // x [own rows, H], of all
  FATHOM_TRY(ops::add_rms_norm(step.ops, x, residual, w.ffn_norm, eps, normed));
  FATHOM_TRY(gather_rows(step, "ffn_in", at.normed));         // normed [T, H]
  FATHOM_TRY(w.moe ? moe(step, *w.moe) : mlp(step, *w.mlp));  // x [T, H], of this rank's part
  return sum_rows(step, "ffn_out", at.x);                     // x [own rows, H]
}

}  // namespace fathom::models::deepseek_v3
