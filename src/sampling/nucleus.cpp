#include "sampling/nucleus.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace fathom::sampling {
namespace {

// Tokens by how far they are below the best one, 16 depths for a factor of e; the deepest one has
// all that weigh less than e^-50.
constexpr size_t kDepths = 801;
constexpr double kDepthsOfE = 16.0;

size_t depth_of(double logit, const WeightRule& rule) {
  const double depth = (rule.best - logit) * rule.inverse_temperature * kDepthsOfE;
  return std::min(static_cast<size_t>(depth), kDepths - 1);
}

// What the tokens at each depth weigh.
std::array<double, kDepths> weights_by_depth(const LogitRow& row, const WeightRule& rule) {
  std::array<double, kDepths> weights = {};
  row.for_weights(rule,
                  [&](float logit, double weight) { weights[depth_of(logit, rule)] += weight; });
  return weights;
}

}  // namespace

double weigh(std::span<Candidate> candidates, const WeightRule& rule) {
  double total = 0.0;
  for (Candidate& candidate : candidates) {
    candidate.weight =
        std::exp((static_cast<double>(candidate.logit) - rule.best) * rule.inverse_temperature);
    total += candidate.weight;
  }
  return total;
}

size_t nucleus(std::span<Candidate> candidates, double needed) {
  size_t begin = 0;  // candidates before it hold less than is needed,
  double held = 0.0;
  size_t end = candidates.size();  // and those before `end` hold it, or are all
  while (end - begin > 1) {
    const size_t middle = begin + (end - begin) / 2;
    const auto at = [&](size_t i) { return candidates.begin() + static_cast<ptrdiff_t>(i); };
    std::nth_element(at(begin), at(middle), at(end), ranks_before);
    double upper = 0.0;
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

Candidate last_of_nucleus(const LogitRow& row, const WeightRule& rule, double share,
                          std::vector<Candidate>& candidates) {
  const auto weights = weights_by_depth(row, rule);
  const double needed = share * std::accumulate(weights.begin(), weights.end(), 0.0);
  size_t end = 0;  // the depth at which the tokens hold enough
  double held = 0.0;
  for (size_t depth = 0; depth < kDepths && held < needed; ++depth) {
    if (weights[depth] == 0.0) continue;
    end = depth;
    held += weights[depth];
  }
  // A depth further down, for what rounding does; then exactly.
  const double reach = (static_cast<double>(end) + 2) / kDepthsOfE / rule.inverse_temperature;
  const double least = end + 1 == kDepths ? rule.least : rule.best - reach;
  candidates.clear();
  row.collect(std::max(rule.least, least), candidates);
  std::erase_if(candidates, [&](const Candidate& one) { return depth_of(one.logit, rule) != end; });
  weigh(candidates, rule);
  const size_t count = nucleus(candidates, needed - (held - weights[end]));
  const auto last = candidates.begin() + static_cast<ptrdiff_t>(count);
  return *std::max_element(candidates.begin(), last, ranks_before);
}

}  // namespace fathom::sampling
