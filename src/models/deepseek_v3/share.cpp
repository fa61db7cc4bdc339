#include "models/deepseek_v3/share.h"

namespace fathom::models::deepseek_v3 {
namespace {

Share share_at(const Config& config, const Layout& layout, const RankPlace& place,
               const Range& layers) {
  return {.layout = layout,
          .place = place,
          .layers = layers,
          .heads = static_cast<int32_t>(heads_of(layout, config, place.tensor).size()),
          .tokens = part_of(config.vocab_size, place.tensor, layout.tp),
          .experts = place_experts(layout, config)};
}

}  // namespace

Share whole_of(const Config& config) {
  return share_at(config, Layout{}, RankPlace{}, {0, config.num_hidden_layers});
}

Share share_of(const ShardPlan& plan, int64_t rank) {
  const RankPlace place = place_of(plan.layout(), rank);
  return share_at(plan.config(), plan.layout(), place,
                  plan.stages()[static_cast<size_t>(place.stage)]);
}

}  // namespace fathom::models::deepseek_v3
