#include "models/deepseek_v3/step/batch_slice.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {
namespace {

// Both lists are in the order of rows.
void cut_sequences(std::span<const SequenceRows> whole, int64_t begin, int64_t end,
                   std::vector<SequenceRows>& out) {
  out.clear();
  auto each = std::ranges::partition_point(whole, [&](const SequenceRows& sequence) {
    return sequence.query_begin + sequence.query_count <= begin;
  });
  for (; each != whole.end() && each->query_begin < end; ++each) {
    SequenceRows part = *each;
    const int64_t first = std::max(each->query_begin, begin);
    const int64_t skipped = first - each->query_begin;
    part.query_begin = first - begin;
    part.query_count = std::min(each->query_count - skipped, end - first);
    part.context = each->context + skipped;
    out.push_back(part);
  }
}

}  // namespace

BatchSlice::BatchSlice(const RunLimits& limits) {
  given_.reserve(static_cast<size_t>(limits.max_step_sequences));
  generated_.reserve(static_cast<size_t>(limits.max_step_sequences));
  logit_rows_.reserve(static_cast<size_t>(limits.max_logit_rows));
}

void BatchSlice::cut(const StepBatch& whole, int64_t begin, int64_t end) {
  const auto first = static_cast<size_t>(begin);
  const auto count = static_cast<size_t>(end - begin);
  cut_sequences(whole.given, begin, end, given_);
  cut_sequences(whole.generated, begin, end, generated_);
  logit_rows_.clear();
  for (auto row = std::ranges::lower_bound(whole.logit_rows, begin);
       row != whole.logit_rows.end() && *row < end; ++row) {
    logit_rows_.push_back(static_cast<int32_t>(*row - begin));
  }
  batch_ = {.tokens = whole.tokens.subspan(first, count),
            .positions = whole.positions.subspan(first, count),
            .slots = whole.slots.subspan(first, count),
            .given = given_,
            .generated = generated_,
            .logit_rows = logit_rows_,
            .data_rows = {}};
}

}  // namespace fathom::models::deepseek_v3
