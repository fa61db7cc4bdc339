#include "models/deepseek_v3/forward/exchange_buffers.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

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
  if (way != ExpertWay::kRouted || layout.dp == 1) return;
  stops = std::min(visits, layout.dp);
  leaving = rows * stops;
}

}  // namespace fathom::models::deepseek_v3
