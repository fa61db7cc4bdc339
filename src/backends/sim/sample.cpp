// Tokens as the host's sampler draws them from the same logits.
#include "sampling/contract_draw.h"

#include "backends/sim/kernels.h"
#include "backends/sim/row_state.h"

namespace fathom::sim {

size_t sample_workspace(const fathom_sample_args& args) {
  return sampling::RowScratch::bytes(args.logits.shape[1]);
}

fathom_status run(const CostModel&, LogitRows& rows, const fathom_sample_args& args) {
  const int64_t vocab = args.logits.shape[1];
  sampling::RowScratch scratch(vocab, static_cast<std::byte*>(args.workspace));
  for (int32_t i = 0; i < *args.num_draws; ++i) {
    const fathom_draw& draw = args.draws[i];
    if (const auto token = rows.draw(args, draw)) {
      args.tokens[i] = *token;
      continue;
    }
    const auto* logits = reinterpret_cast<const float*>(row_of(args.logits, draw.logit_row));
    const std::span row(logits, static_cast<size_t>(vocab));
    args.tokens[i] = sampling::draw_token(args, draw, row, scratch).value_or(-1);
  }
  return FATHOM_OK;
}

fathom_status run(const CostModel&, const fathom_take_tokens_args& args) {
  for (int64_t i = 0; i < args.num_tokens; ++i) {
    if (args.tokens[i] < -1) args.tokens[i] = args.drawn[-2 - args.tokens[i]];
  }
  return FATHOM_OK;
}

}  // namespace fathom::sim
