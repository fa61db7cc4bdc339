#include "engine/draft_policy.h"

#include <algorithm>

namespace fathom::engine {

// An outlier (the machine was busy elsewhere) counts as twice the average at most.
void DraftPolicy::Average::add(double sample) {
  if (count > 0) sample = std::min(sample, 2 * value);
  count = std::min(count + 1, kAveraged);
  value += (sample - value) / static_cast<double>(count);
}

DraftPolicy::DraftPolicy(int64_t max_sequences, bool always)
    : always_(always), costs_(static_cast<size_t>(max_sequences) + 1) {}

double DraftPolicy::break_even(int64_t sequences) const {
  const Costs& costs = at(sequences);
  if (always_ || costs.plain.count == 0 || costs.draft.count == 0) return 0;
  return costs.draft.value * static_cast<double>(sequences) / costs.plain.value;
}

bool DraftPolicy::probe(int64_t sequences) {
  Costs& costs = at(sequences);
  if (always_) return false;
  return costs.plain.count < kFirstPlainSteps || ++costs.steps % kProbeEvery == 0;
}

void DraftPolicy::measured(int64_t sequences, int64_t drafts, double seconds) {
  Costs& costs = at(sequences);
  if (drafts == 0) {
    costs.plain.add(seconds);
  } else if (costs.plain.count > 0) {
    const double added = std::max(seconds - costs.plain.value, 0.0);
    costs.draft.add(added / static_cast<double>(drafts));
  }
}

}  // namespace fathom::engine
