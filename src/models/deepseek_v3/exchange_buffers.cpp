#include "models/deepseek_v3/exchange_buffers.h"

#include <algorithm>

namespace fathom::models::deepseek_v3 {

ExpertWay expert_way(const Layout& layout) {
  if (layout.redundant > 0 || layout.shared > 0 || layout.dp > kMostGathered) {
    return ExpertWay::kRouted;
  }
  return layout.dp > 1 ? ExpertWay::kGathered : ExpertWay::kOwn;
}

ExchangeSizes::ExchangeSizes(const Config& config, const Share& share, int64_t rows)
    : visits(config.num_experts_per_tok + (share.layout.shared > 0 ? 1 : 0)) {
  const Layout& layout = share.layout;
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
