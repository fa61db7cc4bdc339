#include "sampling/nucleus.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace fathom::sampling {
namespace {

// Tokens by how far they are below the best one, 16 depths for a factor of e.
constexpr float kDepthsOfE = 16.0f;
constexpr size_t kDepths = static_cast<size_t>(-kLeastExponent * kDepthsOfE) + 1;

size_t depth_of(float logit, const WeightRule& rule) {
  return static_cast<size_t>(exponent_of(logit, rule) * -kDepthsOfE);
}

// What the tokens at each depth weigh.
std::array<uint64_t, kDepths> weights_by_depth(const LogitRow& row, const WeightRule& rule) {
  std::array<uint64_t, kDepths> weights = {};
  row.for_weights(rule,
                  [&](float logit, uint64_t weight) { weights[depth_of(logit, rule)] += weight; });
  return weights;
}

}  // namespace

uint64_t weigh(std::span<Candidate> candidates, const WeightRule& rule) {
  uint64_t total = 0;
  for (Candidate& candidate : candidates) {
    candidate.weight = weight_of(exponent_of(candidate.logit, rule));
    total += candidate.weight;
  }
  return total;
}

size_t nucleus(std::span<Candidate> candidates, uint64_t needed) {
  size_t begin = 0;  // candidates before it hold less than is needed,
  uint64_t held = 0;
  size_t end = candidates.size();  // and those before `end` hold it, or are all
  while (end - begin > 1) {
    const size_t middle = begin + (end - begin) / 2;
    const auto at = [&](size_t i) { return candidates.begin() + static_cast<ptrdiff_t>(i); };
    std::nth_element(at(begin), at(middle), at(end), ranks_before);
    uint64_t upper = 0;
    for (size_t i = begin; i < middle; ++i) upper += candidates[i].weight;
    if (held + upper >= needed) {
      end = middle;
    } else {
      held += upper;
      begin = middle;
    }
  }
  return end;
}

Candidate last_of_nucleus(const LogitRow& row, const WeightRule& rule, uint64_t share,
                          CandidateList& candidates) {
  const auto weights = weights_by_depth(row, rule);
  const uint64_t needed =
      share_of(std::accumulate(weights.begin(), weights.end(), uint64_t{0}), share);
  size_t end = 0;  // the depth at which the tokens hold enough
  uint64_t held = 0;
  while (held + weights[end] < needed) held += weights[end++];

  const WeightRule deepest =
      weight_rule(rule.best, rule.inverse_temperature, -static_cast<float>(end + 1) / kDepthsOfE);
  candidates.clear();
  row.collect(std::max(rule.least, deepest.least), candidates);
  candidates.erase_if([&](const Candidate& one) { return depth_of(one.logit, rule) != end; });
  weigh(candidates, rule);
  const size_t count = nucleus(candidates, needed - held);
  const auto last = candidates.begin() + static_cast<ptrdiff_t>(count);
  return *std::max_element(candidates.begin(), last, ranks_before);
}

}  // namespace fathom::sampling
