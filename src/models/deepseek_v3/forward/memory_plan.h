// The memory plan: what the KV and workspace arenas hold, sized for the largest step.
#pragma once

#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/forward/step.h"
#include "models/deepseek_v3/sharding/footprint.h"
#include "models/deepseek_v3/weights/weights.h"
#include "models/tensor_source.h"
#include "models/weight_format.h"

namespace fathom::models::deepseek_v3 {

fathom_mla_shape mla_shape(const Config& config, int32_t heads);

// What the cache should hold of a model in `format`: bf16 where the weights that attention reads
// are rounded more than that, otherwise what the chip prefers.
Result<fathom_dtype> choose_kv_dtype(const TensorSource& source, const Config& config,
                                     WeightFormat format, fathom_dtype preferred);

// Bytes that one KV block takes over all layers of a rank, for choosing how many there are.
size_t kv_block_bytes(const Config& config, const RankShard& shard, const device::Device& device,
                      const RunLimits& limits);

// How many each layer's cache has: limits.num_kv_blocks, and behind them one for the rows of
// padding that recorded steps have, where the chip records any.
int64_t cached_blocks(const device::Device& device, const RunLimits& limits);

// The cache of each layer of a rank, the MTP layer's last, out of an arena of
// kv_block_bytes() * cached_blocks().
std::vector<fathom_kv_cache> plan_caches(const Config& config, const RankShard& shard,
                                         const device::Device& device, const RunLimits& limits,
                                         device::Arena& arena);

// What a rank's memory plan has beside its parts of the model: for a footprint, `memory` of a chip
// and the format of its cache.
RankMemory step_memory(const Config& config, const RunLimits& limits, int64_t memory,
                       fathom_dtype kv_dtype);

class WorkspacePlan {
 public:
  static Result<WorkspacePlan> make(const Config& config, const RankShard& shard,
                                    const Weights& weights, const device::Device& device,
                                    const RunLimits& limits);
  // Cuts the buffers out of an arena of `bytes` and fills the rotary table.
  Result<StepBuffers> take(device::Arena& arena, device::Device& device) const;

  size_t bytes = 0;

 private:
  template <typename Allocate>
  StepBuffers lay_out(Allocate&& allocate) const;

  Config config_;
  RankShard shard_;
  RunLimits limits_;
  fathom_dtype activation_ = FATHOM_F32;
  size_t scratch_bytes_ = 0;
};

}  // namespace fathom::models::deepseek_v3
