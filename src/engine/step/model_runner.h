// Lays a scheduled step out as the model's StepBatch and runs it, and likewise the drafts made
// after it. Rows are in the scheduler's order, chunk by chunk. All arrays are allocated once, for
// the largest step, and reused by every step: the model copies its input.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/schedule/scheduler.h"
#include "models/causal_lm.h"

namespace fathom::engine {

// Rows [begin, end) of a sequence for the drafting layer. `source` is the index of the first one
// among the rows of the last step or draft().
struct DraftRows {
  Sequence* sequence = nullptr;
  int64_t begin = 0;
  int64_t end = 0;
  int64_t source = 0;
  bool wants_logits = false;  // of the last row
};

class ModelRunner {
 public:
  explicit ModelRunner(std::unique_ptr<models::CausalLm> model);

  const models::CausalLm& model() const { return *model_; }
  models::CausalLm& model() { return *model_; }

  // As the model's begin_step(), begin_draws() and finish_step(). The step's logit rows are those
  // of its chunks, in the order of chunks and rows.
  Status begin(std::span<const Chunk> step);
  Status draw(const models::StepDraws& draws) { return model_->begin_draws(draws); }
  // `draws` and `rows_read`: how many tokens and rows of logits the step must return.
  Result<models::StepResult> finish(int64_t draws, int64_t rows_read);
  // For each row that wants logits: a guess of the logits two tokens ahead. Valid until the next
  // call.
  Result<std::span<const float>> draft(std::span<const DraftRows> rows);

 private:
  void clear();
  void lay_out(const Sequence& sequence, int64_t begin, int64_t end, int64_t ahead);
  models::StepBatch batch() const;
  std::unique_ptr<models::CausalLm> model_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> positions_;
  std::vector<int64_t> slots_;
  std::vector<models::SequenceRows> given_;
  std::vector<models::SequenceRows> generated_;
  std::vector<int32_t> logit_rows_;
  std::vector<int32_t> sources_;
  std::vector<int64_t> data_rows_;  // by replica
};

}  // namespace fathom::engine
