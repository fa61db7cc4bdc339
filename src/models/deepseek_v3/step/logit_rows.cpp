#include "models/deepseek_v3/step/logit_rows.h"

#include <algorithm>

#include "base/check.h"

namespace fathom::models::deepseek_v3 {

LogitRows::LogitRows(const RunLimits& limits) {
  rows_.reserve(static_cast<size_t>(limits.max_logit_rows));
  given_.reserve(static_cast<size_t>(limits.max_step_sequences));
  generated_.reserve(static_cast<size_t>(limits.max_step_sequences));
}

bool LogitRows::choose(const StepBatch& batch) {
  keep_all();
  if (batch.logit_rows.size() == batch.tokens.size()) return false;
  rows_.assign(batch.logit_rows.begin(), batch.logit_rows.end());
  all_ = !cut(batch.given, given_) || !cut(batch.generated, generated_);
  return !all_;
}

void LogitRows::keep_all() {
  all_ = true;
  rows_.clear();
}

// Neighbours of one sequence stay together.
bool LogitRows::cut(std::span<const SequenceRows> sequences,
                    std::vector<SequenceRows>& pieces) const {
  pieces.clear();
  for (const SequenceRows& whole : sequences) {
    const int64_t end = whole.query_begin + whole.query_count;
    const auto first = std::ranges::lower_bound(rows_, whole.query_begin);
    for (auto row = first; row != rows_.end() && *row < end; ++row) {
      if (row != first && *row == row[-1] + 1) {
        ++pieces.back().query_count;
        continue;
      }
      if (pieces.size() == pieces.capacity()) return false;
      SequenceRows piece = whole;
      piece.query_begin = row - rows_.begin();
      piece.query_count = 1;
      piece.context = whole.context + *row - whole.query_begin;
      pieces.push_back(piece);
    }
  }
  return true;
}

int32_t LogitRows::place_of(int32_t row) const {
  if (all_) return row;
  const auto found = std::ranges::lower_bound(rows_, row);
  FATHOM_CHECK(found != rows_.end() && *found == row, "draft: expected a row that had logits");
  return static_cast<int32_t>(found - rows_.begin());
}

}  // namespace fathom::models::deepseek_v3
