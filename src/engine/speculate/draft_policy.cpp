#include "engine/speculate/draft_policy.h"

#include <algorithm>

namespace fathom::engine {

// Where one sample in four is smaller, steps down and steps up, a third as long, cancel.
void DraftPolicy::Quartile::add(double sample) {
  if (count == 0) value = sample;
  count = std::min(count + 1, 2 * kFirstSamples);
  const double down = 1.0 / static_cast<double>(count);
  value = sample < value ? std::max(sample, value * (1 - down))
                         : std::min(sample, value * (1 + down / 3));
}

DraftPolicy::DraftPolicy(int64_t max_sequences, bool always)
    : always_(always), costs_(static_cast<size_t>(max_sequences) + 1) {}

double DraftPolicy::break_even(int64_t sequences) const {
  const Costs& costs = at(sequences);
  if (always_ || costs.drafted.count == 0) return 0;
  return costs.drafted.value / costs.plain.value - 1;
}

bool DraftPolicy::probe(int64_t sequences) {
  if (always_) return false;
  Costs& costs = at(sequences);
  const int64_t every = costs.plain.count < kFirstSamples ? kFirstProbesEvery : kProbesEvery;
  return ++costs.steps % every == 0;
}

void DraftPolicy::measured(int64_t sequences, int64_t drafts, double seconds) {
  Costs& costs = at(sequences);
  if (drafts == 0) {
    costs.plain.add(seconds);
  } else if (costs.plain.count > 0) {
    const double share = static_cast<double>(drafts) / static_cast<double>(sequences);
    costs.drafted.add(costs.plain.value + (seconds - costs.plain.value) / share);
  }
}

}  // namespace fathom::engine
