// How large a step may be, and how many tokens the cache holds: what the flags say, as far as the
// model and the memory go.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "serving/options.h"

namespace fathom::serving {

// How large a step may be; without the cache's blocks, which depend on the memory.
Result<models::RunLimits> step_limits(const StackOptions& options,
                                      const models::deepseek_v3::Config& config);

// Blocks for the cache: what the user gave, or enough for every running sequence's whole context,
// but no more than a quarter of the free memory.
Result<int64_t> choose_kv_blocks(const StackOptions& options,
                                 const models::deepseek_v3::Config& config,
                                 const models::deepseek_v3::RankShard& shard,
                                 const device::Device& device, int64_t free_bytes,
                                 const models::RunLimits& limits);

// Limits as far as the cache's blocks allow; of several ranks as far as each one's do.
Result<models::RunLimits> fit_to_cache(const StackOptions& options, models::RunLimits limits,
                                       int64_t blocks);

}  // namespace fathom::serving
