// What one rank holds of a model: its stage's layers, and of those its heads, experts and rows of
// the vocabulary (parallel_layout.h, shard.h).
#pragma once

#include <vector>

#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

struct RankShard {
  ParallelLayout layout;
  RankPlace place;
  Range layers;       // of its stage
  int32_t heads = 0;  // of attention
  Range tokens;       // rows of embedding and head
  // place_experts(): of each expert index of the stage. The rank's own are numbered in that order.
  std::vector<std::vector<int64_t>> experts;

  bool is_first() const { return place.stage == 0; }
  bool is_last() const { return place.stage == layout.pp - 1; }
  // Whether it draws the tokens of its data index.
  bool draws() const { return is_last() && place.tensor == 0; }
  const std::vector<int64_t>& own_experts() const {
    return experts[static_cast<size_t>(place.expert)];
  }
};

// All of it.
RankShard whole_of(const Config& config);
RankShard shard_of(const ShardPlan& plan, int64_t rank);

}  // namespace fathom::models::deepseek_v3
