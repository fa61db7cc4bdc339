#include "models/deepseek_v3/forward/block.h"

#include "models/deepseek_v3/forward/mla.h"
#include "models/deepseek_v3/forward/moe.h"
#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {
namespace {

// normed = the norm of the stream, which residual becomes. [own rows, H]
Status norm(Step& step, const float* weight, StreamInput input) {
  const Tensor residual = own_rows(step, step.at.residual);
  const Tensor normed = own_rows(step, step.at.normed);
  const float eps = step.config.rms_norm_eps;
  if (input == StreamInput::kResidualOnly) {
    return ops::rms_norm(step.ops, residual, weight, eps, normed);
  }
  return ops::add_rms_norm(step.ops, own_rows(step, step.at.x), residual, weight, eps, normed);
}

}  // namespace

Status keep_rows(Step& step, const LogitRows& kept) {
  auto& at = step.at;
  FATHOM_TRY(gather_rows(step, "kept", at.residual));
  if (kept.count() > 0) {
    FATHOM_TRY(ops::embed(step.ops, step.in.logit_rows, as_table(at.q), at.logit_q));
    FATHOM_TRY(ops::embed(step.ops, step.in.logit_rows, as_table(at.residual), at.logit_hidden));
  }
  at = cut(at, 0, kept.count(), 0, kept.count());
  at.q = at.logit_q;
  at.residual = at.logit_hidden;
  step.given = step.in.sequences[kKeptGiven];
  step.generated = step.in.sequences[kKeptGenerated];
  return {};
}

Status block(Step& step, const BlockWeights& w, const fathom_kv_cache& cache, StreamInput input,
             const LogitRows* kept) {
  auto& at = step.at;
  FATHOM_TRY(norm(step, w.attn_norm, input));
  FATHOM_TRY(prepare_attention(step, w.attn, cache));
  if (kept != nullptr) {
    FATHOM_TRY(keep_rows(step, *kept));
    if (kept->count() == 0 && step.exchange == nullptr) return {};
  }
  FATHOM_TRY(attention(step, w.attn, cache));         // x [T, H], of this rank's heads
  FATHOM_TRY(sum_rows(step, "attention_out", at.x));  // x [own rows, H], of all
  FATHOM_TRY(norm(step, w.ffn_norm, StreamInput::kResidualPlusX));
  FATHOM_TRY(gather_rows(step, "ffn_in", at.normed));         // normed [T, H]
  FATHOM_TRY(w.moe ? moe(step, *w.moe) : mlp(step, *w.mlp));  // x [T, H], of this rank's part
  return sum_rows(step, "ffn_out", at.x);                     // x [own rows, H]
}

}  // namespace fathom::models::deepseek_v3
