#include "engine/draft_policy.h"

#include <algorithm>

namespace fathom::engine {

void DraftPolicy::Average::add(double sample) {
  count = std::min(count + 1, kAveraged);
  value += (sample - value) / static_cast<double>(count);
}

DraftPolicy::DraftPolicy(int64_t max_sequences, bool always)
    : always_(always), costs_(static_cast<size_t>(max_sequences) + 1) {}

double DraftPolicy::break_even(int64_t sequences) const {
  return always_ ? 0 : at(sequences).draft.value;
}

bool DraftPolicy::probe(int64_t sequences) {
  if (always_) return false;
  Costs& costs = at(sequences);
  const int64_t every = costs.plain.count < kAveraged ? kFirstProbesEvery : kProbesEvery;
  return ++costs.steps % every == 0;
}

// The machine may have been busy elsewhere: an outlier counts as little more than what is usual.
void DraftPolicy::measured(int64_t sequences, int64_t drafts, double seconds) {
  constexpr double kOutlier = 2;     // times the average
  constexpr double kMostTokens = 3;  // that a draft can seem to cost
  Costs& costs = at(sequences);
  const double usual = costs.plain.value;
  if (drafts == 0) {
    costs.plain.add(costs.plain.count > 0 ? std::min(seconds, kOutlier * usual) : seconds);
  } else if (costs.plain.count > 0) {
    const double tokens = (seconds / usual - 1) * static_cast<double>(sequences);
    costs.draft.add(std::clamp(tokens / static_cast<double>(drafts), -kMostTokens, kMostTokens));
  }
}

}  // namespace fathom::engine
