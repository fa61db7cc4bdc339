#include "models/deepseek_v3/sharding/rank_shard.h"

namespace fathom::models::deepseek_v3 {
namespace {

RankShard shard_at(const Config& config, const ParallelLayout& layout, const RankPlace& place,
                   const Range& layers) {
  return {.layout = layout,
          .place = place,
          .layers = layers,
          .heads = static_cast<int32_t>(heads_of(layout, config, place.tensor).size()),
          .tokens = part_of(config.vocab_size, place.tensor, layout.tp),
          .experts = place_experts(layout, config)};
}

}  // namespace

RankShard whole_of(const Config& config) {
  return shard_at(config, ParallelLayout{}, RankPlace{}, {0, config.num_hidden_layers});
}

RankShard shard_of(const ShardPlan& plan, int64_t rank) {
  const RankPlace place = place_of(plan.layout(), rank);
  return shard_at(plan.config(), plan.layout(), place,
                  plan.stages()[static_cast<size_t>(place.stage)]);
}

}  // namespace fathom::models::deepseek_v3
