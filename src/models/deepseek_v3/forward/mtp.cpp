#include "models/deepseek_v3/forward/mtp.h"

#include "models/deepseek_v3/forward/block.h"
#include "models/deepseek_v3/forward/head.h"
#include "models/deepseek_v3/forward/rank_exchange.h"

namespace fathom::models::deepseek_v3 {

std::span<const int32_t> MtpLayer::sources(std::span<const int32_t> rows, const LogitRows& kept) {
  sources_.clear();
  for (const int32_t row : rows) sources_.push_back(kept.place_of(row));
  return sources_;
}

// residual = eh_proj [norm(embedding), norm(hidden state)]. [own rows, H]
Status MtpLayer::join(Step& step) const {
  const int64_t hidden = step.config.hidden_size;
  const float eps = step.config.rms_norm_eps;
  auto& at = step.at;
  FATHOM_TRY(ops::embed(step.ops, step.in.sources, as_table(hidden_), at.x));  // [T, H]
  FATHOM_TRY(embed(step, weights_.embed, at.normed));                          // [own rows, H]
  const Tensor joined = own_rows(step, at.joined);                             // [own rows, 2 H]
  FATHOM_TRY(ops::rms_norm(step.ops, own_rows(step, at.normed), weights_.enorm, eps,
                           device::columns(joined, 0, hidden)));
  FATHOM_TRY(ops::rms_norm(step.ops, own_rows(step, at.x), weights_.hnorm, eps,
                           device::columns(joined, hidden, hidden)));
  return ops::linear(step.ops, joined, weights_.eh_proj, own_rows(step, at.residual));
}

Status MtpLayer::queue(Step& step, const LogitRows* kept) const {
  FATHOM_TRY(join(step));
  if (step.exchange != nullptr) step.exchange->begin_last_block();
  FATHOM_TRY(block(step, weights_.block, cache_, StreamInput::kResidualOnly, kept));
  return head(step, weights_.norm, weights_.head);  // [L, vocab]
}

}  // namespace fathom::models::deepseek_v3
