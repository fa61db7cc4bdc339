// `--parallel auto`: a layout for some ranks and their memory.
#pragma once

#include <vector>

#include "models/deepseek_v3/sharding/footprint.h"
#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

// Of the layouts of `ranks` ranks that divide the model and fit the memory, the one with
//   1. the fewest pipeline stages (a token waits for each in turn),
//   2. the least traffic a token (traffic.h),
//   3. the most tokens of KV.
// Where experts do not spread evenly, as few as will do are redundant. Errors say how much memory
// the least demanding layout takes.
Result<ShardPlan> choose_layout(const Config& config, const std::vector<ManifestEntry>& tensors,
                                WeightFormat format, int64_t ranks, const RunLimits& limits,
                                const RankMemory& memory);

}  // namespace fathom::models::deepseek_v3
