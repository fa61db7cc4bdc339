#include "models/deepseek_v3/forward/exchange_buffers.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

namespace {

// Whether each data index has as many experts, behind those of the ones before it.
bool experts_are_ranges(const Config& config, const ParallelLayout& layout) {
  return layout.dp > 1 && layout.redundant == 0 && layout.shared == 0 &&
         layout.tp == layout.slices() && config.n_routed_experts > 0 &&
         config.n_routed_experts % layout.dp == 0;
}

}  // namespace

std::optional<ops::MoeExchange> dispatch_shape(const Config& config, const RankShard& shard,
                                               fathom_dtype activation, int64_t rows) {
  const ParallelLayout& layout = shard.layout;
  if (!experts_are_ranges(config, layout)) return std::nullopt;
  return ops::MoeExchange{
      .experts_a_rank = config.n_routed_experts / layout.dp,
      .top_k = config.num_experts_per_tok,
      .max_rows = rows,
      .out = device::matrix(nullptr, activation, layout.dp * rows, config.hidden_size)};
}

ExpertWay expert_way(const ParallelLayout& layout) {
  if (layout.redundant > 0 || layout.shared > 0 || layout.dp > kMostGathered) {
    return ExpertWay::kRouted;
  }
  return layout.dp > 1 ? ExpertWay::kGathered : ExpertWay::kOwn;
}

ExchangeSizes::ExchangeSizes(const Config& config, const RankShard& shard, int64_t rows)
    : visits(config.num_experts_per_tok + (shard.layout.shared > 0 ? 1 : 0)) {
  const ParallelLayout& layout = shard.layout;
  if (config.n_routed_experts == 0 || layout.stage_ranks() == 1) return;
  const ExpertWay way = expert_way(layout);
  all_rows = layout.dp * rows;
  arriving = layout.dp > 1 ? all_rows : 0;
  wishes = way == ExpertWay::kOwn ? 0 : all_rows * visits;
  row_counts = experts_are_ranges(config, layout) ? rows + 1 : 0;
  if (way != ExpertWay::kRouted || layout.dp == 1) return;
  stops = std::min(visits, layout.dp);
  leaving = rows * stops;
}

}  // namespace fathom::models::deepseek_v3
