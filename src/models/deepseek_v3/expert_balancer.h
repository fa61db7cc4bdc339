// Where redundant experts are follows the load: ranks add up how often each expert was chosen, and
// the busiest experts get the redundant places (sharding/expert_placement.h). A rank reads the
// experts that it did not have from the checkpoint.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <utility>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/forward/expert_counts.h"
#include "models/deepseek_v3/forward/expert_exchange.h"
#include "models/deepseek_v3/loading/load_weights.h"
#include "models/deepseek_v3/ranks/ranks.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/deepseek_v3/weights/weights.h"
#include "models/expert_loads.h"

namespace fathom::models::deepseek_v3 {

struct ExpertBalance {
  // How uneven the ranks' work was, and would have been with the new places: imbalance(), on the
  // average of this rank's layers.
  double before = 1;
  double after = 1;
  int64_t loaded = 0;  // experts that this rank has loaded, of all layers
  ExpertLoads loads;   // since the last time, of all layers with experts, on all ranks alike
};

class ExpertBalancer {
 public:
  // A rank of a model, which outlives the balancer. Layers are those that the rank caches: its
  // blocks, and the MTP layer last.
  struct Rank {
    const Config& config;
    const RankShard& shard;
    const Ranks& ranks;
    device::Device& device;
    int64_t layers = 0;
    Weights& weights;
    ExpertCounts& counts;
    ExpertExchange* exchange = nullptr;  // null: one rank has all experts
  };
  // Where the model's weights come from.
  struct Origin {
    std::shared_ptr<const TensorSource> source;
    const ShardPlan* plan = nullptr;  // outlives the balancer; null: no plan, and no expert moves
    LoadOptions load;
  };

  ExpertBalancer(const Rank& rank, Origin origin) : rank_(rank), origin_(std::move(origin)) {}

  // Every rank calls it, while no step is in flight.
  Result<ExpertBalance> balance();
  // Loads an expert of the checkpoint anew, into place `number` of this rank's experts of a layer.
  // Of models with a plan, while no step is in flight.
  Status place_expert(int64_t layer, size_t number, int64_t expert);

 private:
  MoeWeights* moe_of(int64_t layer);
  int64_t place_in_stage() const;
  Status count_layer(int64_t layer, ExpertBalance& sum, std::span<float> row);
  Result<int64_t> take_experts(int64_t layer, const ExpertExchange::Placement& placed);

  Rank rank_;
  Origin origin_;
  std::map<std::pair<int64_t, size_t>, LoadedExpert> moved_;  // by layer and number
};

}  // namespace fathom::models::deepseek_v3
