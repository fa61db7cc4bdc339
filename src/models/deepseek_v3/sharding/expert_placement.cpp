#include "models/deepseek_v3/sharding/expert_placement.h"

#include <algorithm>
#include <functional>
#include <numeric>

namespace fathom::models::deepseek_v3 {
namespace {

using Placement = std::vector<std::vector<int64_t>>;

std::vector<int64_t> copies_of(const Placement& placed, size_t experts) {
  std::vector<int64_t> copies(experts);
  for (const auto& here : placed) {
    for (const int64_t expert : here) {
      if (expert != kSharedExpert) ++copies[static_cast<size_t>(expert)];
    }
  }
  return copies;
}

// Tokens that the experts of one rank get, of whose copies each gets as many.
double load_of(const std::vector<int64_t>& here, std::span<const float> loads,
               const std::vector<int64_t>& copies) {
  double sum = 0;
  for (const int64_t expert : here) {
    if (expert == kSharedExpert) continue;
    const auto at = static_cast<size_t>(expert);
    sum += static_cast<double>(loads[at]) / static_cast<double>(copies[at]);
  }
  return sum;
}

bool holds(const std::vector<int64_t>& here, int64_t expert) {
  return std::ranges::find(here, expert) != here.end();
}

// The rank that has a place and not this expert, and least to do; -1: none.
int64_t rank_for(const Placement& placed, const std::vector<size_t>& places, int64_t expert,
                 std::span<const float> loads, const std::vector<int64_t>& copies) {
  int64_t best = -1;
  double least = 0;
  for (size_t index = 0; index < placed.size(); ++index) {
    if (placed[index].size() == places[index] || holds(placed[index], expert)) continue;
    const double load = load_of(placed[index], loads, copies);
    if (best >= 0 && load >= least) continue;
    best = static_cast<int64_t>(index);
    least = load;
  }
  return best;
}

// Takes work from the rank with most, by one more copy of the expert that is most of it; of the
// next ranks and experts where no rank could hold that.
void add_copy(Placement& placed, const std::vector<size_t>& places, std::span<const float> loads,
              std::vector<int64_t>& copies) {
  std::vector<size_t> ranks(placed.size());
  std::iota(ranks.begin(), ranks.end(), size_t{0});
  std::ranges::stable_sort(ranks, std::greater<>(),
                           [&](size_t index) { return load_of(placed[index], loads, copies); });
  for (const size_t rank : ranks) {
    std::vector<int64_t> experts = placed[rank];
    std::ranges::stable_sort(experts, std::greater<>(), [&](int64_t expert) {
      const auto at = static_cast<size_t>(expert);
      return loads[at] / static_cast<float>(copies[at]);
    });
    for (const int64_t expert : experts) {
      const int64_t index = rank_for(placed, places, expert, loads, copies);
      if (index < 0) continue;
      placed[static_cast<size_t>(index)].push_back(expert);
      ++copies[static_cast<size_t>(expert)];
      return;
    }
  }
}

}  // namespace

Placement balance_experts(const ParallelLayout& layout, const Placement& before,
                          std::span<const float> loads) {
  Placement placed = before;
  const auto experts = static_cast<int64_t>(loads.size());
  std::vector<size_t> places;  // for routed experts
  std::vector<bool> shared;
  int64_t redundant = 0;
  for (size_t index = 0; index < placed.size(); ++index) {
    auto& here = placed[index];
    shared.push_back(holds(here, kSharedExpert));
    if (shared.back()) here.pop_back();
    places.push_back(here.size());
    const Range own = part_of(experts, static_cast<int64_t>(index), layout.ep);
    redundant += static_cast<int64_t>(here.size()) - own.size();
    here.resize(static_cast<size_t>(own.size()));  // which stand first
  }
  std::vector<int64_t> copies(loads.size(), 1);
  for (; redundant > 0; --redundant) add_copy(placed, places, loads, copies);
  for (size_t index = 0; index < placed.size(); ++index) {
    if (shared[index]) placed[index].push_back(kSharedExpert);
  }
  return imbalance(placed, loads) < imbalance(before, loads) ? placed : before;
}

double imbalance(const Placement& placed, std::span<const float> loads) {
  const auto copies = copies_of(placed, loads.size());
  double most = 0;
  double sum = 0;
  for (const auto& here : placed) {
    const double load = load_of(here, loads, copies);
    most = std::max(most, load);
    sum += load;
  }
  return sum > 0 ? most * static_cast<double>(placed.size()) / sum : 1;
}

}  // namespace fathom::models::deepseek_v3
