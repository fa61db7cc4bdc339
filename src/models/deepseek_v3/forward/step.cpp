#include "models/deepseek_v3/forward/step.h"

namespace fathom::models::deepseek_v3 {

StepBuffers cut(const StepBuffers& planned, int64_t first_row, int64_t rows, int64_t first_logit,
                int64_t logit_rows) {
  StepBuffers at = planned;
  for (Tensor* tensor : {&at.x, &at.residual, &at.normed, &at.q_a, &at.q, &at.kv_a, &at.values,
                         &at.gate, &at.up, &at.router}) {
    *tensor = device::rows(*tensor, 0, rows);
  }
  at.hidden = device::rows(at.hidden, first_row, rows);
  if (at.joined.shape[0] > 0) at.joined = device::rows(at.joined, 0, rows);
  at.logit_q = device::rows(at.logit_q, 0, logit_rows);
  at.logit_hidden = device::rows(at.logit_hidden, 0, logit_rows);
  at.logits = device::rows(at.logits, first_logit, logit_rows);
  return at;
}

}  // namespace fathom::models::deepseek_v3
