// Which rows of a step go on through its last block. A row's latents are cached for the rows that
// will follow it; its own output is wanted only where its logits are. So of a prompt all but one
// row can end there: the rest of the block and the final norm cost as much as one row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "models/causal_lm.h"

namespace fathom::models::deepseek_v3 {

class LogitRows {
 public:
  explicit LogitRows(const RunLimits& limits);

  // Keeps the batch's rows of logits. False if all rows stay: they are that already, or are in more
  // pieces than a step may have sequences.
  bool choose(const StepBatch& batch);
  void keep_all();

  int64_t count() const { return static_cast<int64_t>(rows_.size()); }
  // The batch's lists for attention, of kept rows alone.
  std::span<const SequenceRows> given() const { return given_; }
  std::span<const SequenceRows> generated() const { return generated_; }

  // Where a row of the batch, which must be kept, stands now.
  int32_t place_of(int32_t row) const;

 private:
  bool cut(std::span<const SequenceRows> sequences, std::vector<SequenceRows>& pieces) const;

  bool all_ = true;
  std::vector<int32_t> rows_;  // rising
  std::vector<SequenceRows> given_;
  std::vector<SequenceRows> generated_;
};

}  // namespace fathom::models::deepseek_v3
