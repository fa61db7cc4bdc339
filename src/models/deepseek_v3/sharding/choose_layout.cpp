#include "models/deepseek_v3/sharding/choose_layout.h"

#include <fmt/format.h>

#include <optional>
#include <tuple>

#include "models/deepseek_v3/sharding/traffic.h"

namespace fathom::models::deepseek_v3 {
namespace {

std::vector<int64_t> divisors(int64_t number) {
  std::vector<int64_t> all;
  for (int64_t i = 1; i <= number; ++i) {
    if (number % i == 0) all.push_back(i);
  }
  return all;
}

// Every way of dividing a stage's ranks, whole experts before split ones.
std::vector<ParallelLayout> layouts_of_stages(const Config& config, int64_t pp,
                                              int64_t stage_ranks) {
  std::vector<ParallelLayout> layouts;
  for (const int64_t tp : divisors(stage_ranks)) {
    for (const int64_t slices : divisors(tp)) {
      ParallelLayout layout = {
          .pp = pp, .dp = stage_ranks / tp, .tp = tp, .ep = stage_ranks / slices};
      const int64_t over = config.n_routed_experts % layout.ep;
      layout.redundant = over == 0 ? 0 : layout.ep - over;
      if (check_layout(layout, config).ok()) layouts.push_back(layout);
    }
  }
  return layouts;
}

struct Candidate {
  ShardPlan plan;
  double traffic = 0;
  int64_t kv_tokens = 0;

  bool better_than(const Candidate& other) const {
    return std::tuple(traffic, -kv_tokens) < std::tuple(other.traffic, -other.kv_tokens);
  }
};

}  // namespace

Result<ShardPlan> choose_layout(const Config& config, const std::vector<ManifestEntry>& tensors,
                                WeightFormat format, int64_t ranks, const RunLimits& limits,
                                const RankMemory& memory) {
  std::optional<std::pair<int64_t, ParallelLayout>> smallest;  // memory that it takes
  for (const int64_t pp : divisors(ranks)) {
    std::optional<Candidate> best;
    for (const ParallelLayout& layout : layouts_of_stages(config, pp, ranks / pp)) {
      auto plan = ShardPlan::make(config, layout, tensors, format);
      if (!plan) continue;  // its format cannot be cut like this
      const auto footprints = footprints_of(*plan, limits, memory);
      const int64_t least = least_memory(footprints, limits.kv_block_size);
      if (!smallest || least < smallest->first) smallest = {least, layout};
      if (least > memory.memory) continue;
      const double traffic = sent_for_token(*plan).total();
      Candidate candidate = {std::move(*plan), traffic, kv_tokens_of(layout, footprints)};
      if (!best || candidate.better_than(*best)) best = std::move(candidate);
    }
    if (best) return std::move(best->plan);
  }
  FATHOM_CHECK(smallest.has_value(), "ranks with tokens of their own divide any model");
  return invalid_argument(
      fmt::format("--parallel auto: expected {:.1f} GB of memory a rank for this model on {} "
                  "rank{} ({}), got {:.1f} GB; more ranks, or smaller --weights, need less",
                  static_cast<double>(smallest->first) / 1e9, ranks, ranks == 1 ? "" : "s",
                  smallest->second.text(), static_cast<double>(memory.memory) / 1e9),
      "--parallel");
}

}  // namespace fathom::models::deepseek_v3
