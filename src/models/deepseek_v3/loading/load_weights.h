// Loads the weights of a model, or of one rank's shard of it, onto a device. Errors name the file
// or tensor, what was expected and what is there.
#pragma once

#include <cstdint>
#include <memory>

#include "models/deepseek_v3/loading/weight_loader.h"
#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

Result<Weights> load_weights(std::shared_ptr<const TensorSource> source, const Config& config,
                             device::Device& device, const LoadOptions& options);
// Of one rank: the blocks of its stage, with its part of each matrix and its own experts in the
// order of ShardPlan::experts(). What the rank has no part of is empty.
Result<Weights> load_weights(std::shared_ptr<const TensorSource> source, const ShardPlan& plan,
                             int64_t rank, device::Device& device, const LoadOptions& options);

// One expert's three matrices, for one rank, with their owners.
struct LoadedExpert {
  MlpWeights weights;
  std::shared_ptr<const TensorSource> source;
  device::Arena arena;
};
Result<LoadedExpert> load_expert(std::shared_ptr<const TensorSource> source, const ShardPlan& plan,
                                 int64_t rank, int64_t layer, int64_t expert,
                                 device::Device& device, const LoadOptions& options);

}  // namespace fathom::models::deepseek_v3
