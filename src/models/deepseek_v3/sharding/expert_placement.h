// Where experts are held more than once, by how often each was chosen (expert parallel load
// balancing, DeepSeek-V3 paper, section 3.4): the busiest get the redundant places, on the ranks
// with the least to do.
#pragma once

#include <span>
#include <vector>

#include "models/deepseek_v3/sharding/parallel_layout.h"

namespace fathom::models::deepseek_v3 {

// The placement of one layer's experts (place_experts()), with its redundant places given anew. Own
// experts and the shared one stay; all does where nothing would be better. loads: tokens of each
// routed expert. The same on every rank.
std::vector<std::vector<int64_t>> balance_experts(const ParallelLayout& layout,
                                                  const std::vector<std::vector<int64_t>>& before,
                                                  std::span<const float> loads);

// The tokens of the rank with most, over the mean; a token's expert is any of its copies.
double imbalance(const std::vector<std::vector<int64_t>>& placed, std::span<const float> loads);

}  // namespace fathom::models::deepseek_v3
