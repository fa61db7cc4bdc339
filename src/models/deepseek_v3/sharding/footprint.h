// The memory of each rank of a layout: weights, workspace, and how many tokens' latents the rest
// holds.
//
//   KV tokens = (95% of the memory - weights - workspace) / bytes a token, in whole blocks.
//
// 5% are left to the driver, to kernels' scratch and to memory that cannot be used for alignment.
// The workspace is what WorkspacePlan (memory_plan.h) lays out, with each rank's part of heads, MLP
// and vocabulary, in bf16; the rows that travel to and from experts, for the step in which every
// token of the stage goes to the same rank; and the graphs of a chip that has some.
#pragma once

#include <cstdint>
#include <vector>

#include "models/causal_lm.h"
#include "models/deepseek_v3/sharding/shard.h"

namespace fathom::models::deepseek_v3 {

struct RankMemory {
  int64_t memory = 0;  // bytes of the device; 0: not known
  fathom_dtype kv_dtype = FATHOM_BF16;
  // Of the workspace, what does not depend on the layout (step_memory()):
  int64_t metadata_bytes = 0;  // of a step, on every rank
  int64_t draw_bytes = 0;      // what tokens are drawn with, on ranks that draw
  int64_t graph_bytes = 0;     // of recorded steps, on a rank that is alone
};

struct Footprint {
  int64_t tensors = 0;
  int64_t file_bytes = 0;  // of the checkpoint that this rank reads
  int64_t weight_bytes = 0;
  int64_t workspace_bytes = 0;
  int64_t kv_token_bytes = 0;  // of this rank's layers, and the MTP layer in the last stage
  int64_t missing_bytes = 0;   // more memory that even one block of the cache would take
  int64_t kv_tokens = 0;       // 0: the memory is not known, or does not do

  bool operator==(const Footprint&) const = default;
};

// `limits` says how large a step of one data index may be; num_kv_blocks is not read.
Footprint footprint_of(const ShardPlan& plan, int64_t rank, const RunLimits& limits,
                       const RankMemory& memory);
// Of every rank.
std::vector<Footprint> footprints_of(const ShardPlan& plan, const RunLimits& limits,
                                     const RankMemory& memory);

// The least memory that every rank's device must have.
int64_t least_memory(const std::vector<Footprint>& footprints, int32_t kv_block_size);

// Tokens whose latents all data indices hold together: each as many as its fullest rank.
int64_t kv_tokens_of(const ParallelLayout& layout, const std::vector<Footprint>& footprints);

}  // namespace fathom::models::deepseek_v3
