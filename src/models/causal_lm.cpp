#include "models/causal_lm.h"

#include <numeric>

namespace fathom::models {

Result<std::span<const float>> CausalLm::forward(const StepBatch& batch) {
  all_rows_.resize(batch.logit_rows.size());
  std::iota(all_rows_.begin(), all_rows_.end(), 0);
  FATHOM_TRY(begin_step(batch));
  FATHOM_TRY(begin_draws({.draws = {}, .rows = {}, .read = all_rows_}));
  FATHOM_ASSIGN(const StepResult result, finish_step());
  return result.logits;
}

}  // namespace fathom::models
