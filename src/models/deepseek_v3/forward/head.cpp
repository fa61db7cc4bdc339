#include "models/deepseek_v3/forward/head.h"

#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {
namespace {

Status final_norm(Step& step, const float* weight) {
  auto& at = step.at;
  FATHOM_TRY(ops::add_rms_norm(step.ops, own_rows(step, at.x), own_rows(step, at.residual), weight,
                               step.config.rms_norm_eps, own_rows(step, at.hidden)));
  return gather_rows(step, "hidden", at.hidden);
}

}  // namespace

Status head(Step& step, const float* norm, const Weight& weight) {
  auto& at = step.at;
  if (at.hidden.shape[0] > 0) FATHOM_TRY(final_norm(step, norm));  // [T, H]
  if (at.logits.shape[0] == 0) return {};
  Tensor logit_hidden = at.hidden;  // [L, H]
  if (at.hidden.shape[0] != at.logits.shape[0]) {
    logit_hidden = at.logit_hidden;
    FATHOM_TRY(ops::embed(step.ops, step.in.logit_rows, as_table(at.hidden), logit_hidden));
  }
  return ops::linear(step.ops, logit_hidden, weight, at.logits);  // [L, vocab]
}

}  // namespace fathom::models::deepseek_v3
