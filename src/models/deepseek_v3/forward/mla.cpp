#include "models/deepseek_v3/forward/mla.h"

#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {
namespace {

Status queries(Step& step, const MlaWeights& w) {
  auto& at = step.at;
  if (step.config.q_lora_rank == 0) {
    FATHOM_TRY(gather_rows(step, "attention_in", at.normed));
    return ops::linear(step.ops, at.normed, w.wq, at.q);  // [T, heads * (nope + rope)]
  }
  const Tensor q_a = own_rows(step, at.q_a);
  FATHOM_TRY(ops::linear(step.ops, own_rows(step, at.normed), w.wq_a, q_a));  // [own, q_lora]
  FATHOM_TRY(ops::rms_norm(step.ops, q_a, w.q_norm, step.config.rms_norm_eps, q_a));
  FATHOM_TRY(gather_rows(step, "q_a", at.q_a));
  return ops::linear(step.ops, at.q_a, w.wq_b, at.q);  // [T, heads * (nope + rope)]
}

Status latents(Step& step, const MlaWeights& w) {
  const Tensor kv_a = own_rows(step, step.at.kv_a);
  FATHOM_TRY(ops::linear(step.ops, own_rows(step, step.at.normed), w.wkv_a, kv_a));
  return gather_rows(step, "kv_a", step.at.kv_a);
}

}  // namespace

Status prepare_attention(Step& step, const MlaWeights& w, const fathom_kv_cache& cache) {
  auto& at = step.at;
  FATHOM_TRY(queries(step, w));  // [T, heads * (nope + rope)]
  FATHOM_TRY(latents(step, w));  // [T, kv_lora + rope]

  // q_pe and k_pe rotated, the latent normed, latent and k_pe written to the cache.
  const ops::MlaPrepare prepare = {.q = at.q,
                                   .kv_a = at.kv_a,
                                   .kv_norm = w.kv_norm,
                                   .eps = step.config.rms_norm_eps,
                                   .max_positions = at.max_positions,
                                   .cos_sin = at.cos_sin,
                                   .positions = step.in.positions,
                                   .slots = step.in.slots};
  return ops::mla_prepare(step.ops, step.mla, prepare, cache);
}

Status attention(Step& step, const MlaWeights& w, const fathom_kv_cache& cache) {
  auto& at = step.at;
  // Each row is in one of the two: [T, heads * v].
  FATHOM_TRY(ops::mla_prefill(step.ops, step.mla, at.q, w.wkv_b, cache, step.given, at.values));
  FATHOM_TRY(ops::mla_decode(step.ops, step.mla, at.q, w.wkv_b, cache, step.generated, at.values));
  return ops::linear(step.ops, at.values, w.wo, at.x);  // [T, H]
}

}  // namespace fathom::models::deepseek_v3
