// Some of a step's rows as a step of their own.
#pragma once

#include <cstdint>
#include <vector>

#include "models/causal_lm.h"

namespace fathom::models::deepseek_v3 {

class BatchSlice {
 public:
  // Sets memory aside for the largest step.
  explicit BatchSlice(const RunLimits& limits);

  // Rows [begin, end) of `whole`, whose arrays must outlive this. A sequence that goes beyond them
  // is cut: what was before is context then.
  void cut(const StepBatch& whole, int64_t begin, int64_t end);
  const StepBatch& batch() const { return batch_; }

 private:
  StepBatch batch_;
  std::vector<SequenceRows> given_;
  std::vector<SequenceRows> generated_;
  std::vector<int32_t> logit_rows_;
};

}  // namespace fathom::models::deepseek_v3
