#include "models/deepseek_v3/sharding/footprint.h"

#include <algorithm>

#include "models/deepseek_v3/sharding/traffic.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kActivationBytes = 2;

// All but a twentieth of a device's memory; and the least memory of which that is `bytes`.
int64_t usable_of(int64_t memory) {
  return memory - memory / 20;
}
int64_t memory_for(int64_t bytes) {
  return (bytes * 20 + 18) / 19;
}

int64_t least_memory(const Footprint& print, int32_t kv_block_size) {
  return memory_for(print.weight_bytes + print.workspace_bytes +
                    print.kv_token_bytes * kv_block_size);
}

int64_t widest_mlp(const Config& config, const ParallelLayout& layout) {
  const int64_t shared = config.n_shared_experts * config.moe_intermediate_size;
  return std::max(part_of(config.intermediate_size, 0, layout.tp).size(),
                  part_of(shared, 0, layout.shared > 0 ? layout.slices() : layout.tp).size());
}

int64_t activation_bytes(const Config& config, const ParallelLayout& layout, int64_t rows) {
  const int64_t heads = heads_of(layout, config, 0).size();
  const int64_t mtp = config.num_nextn_predict_layers > 0 ? 2 * config.hidden_size : 0;
  const int64_t values = 4 * config.hidden_size + mtp + config.q_lora_rank +
                         heads * (config.q_head_dim() + config.v_head_dim) + config.latent_dim() +
                         2 * widest_mlp(config, layout);
  const int64_t routing = config.n_routed_experts * int64_t{sizeof(float)} +
                          config.num_experts_per_tok * int64_t{sizeof(int32_t) + sizeof(float)};
  return rows * (values * kActivationBytes + routing);
}

// What arrives for this rank's experts and their results, and the results that come back to it.
int64_t exchange_bytes(const Config& config, const ParallelLayout& layout, int64_t rows,
                       int64_t places) {
  if (layout.dp == 1 || config.n_routed_experts == 0) return 0;
  const int64_t visits = config.num_experts_per_tok + (layout.shared > 0 ? 1 : 0);
  const int64_t arriving = (layout.dp - 1) * rows * std::min(visits, places);
  const int64_t sharers = layout.tp / layout.slices();
  const int64_t returning = (rows + sharers - 1) / sharers * visits;
  return config.hidden_size *
         (arriving * (kDispatchedBytes + kSentActivationBytes) + returning * kSentActivationBytes);
}

int64_t workspace_bytes(const ShardPlan& plan, const RankPlace& place, const RunLimits& limits,
                        const RankMemory& memory) {
  const Config& config = plan.config();
  const ParallelLayout& layout = plan.layout();
  const int64_t rows = limits.max_step_tokens;
  const auto places = static_cast<int64_t>(plan.experts().front().size());
  const int64_t rotary = limits.max_context * config.qk_rope_head_dim * int64_t{sizeof(float)};
  int64_t bytes = activation_bytes(config, layout, rows) +
                  exchange_bytes(config, layout, rows, places) + rotary + memory.metadata_bytes;
  if (layout.ranks() == 1) bytes += memory.graph_bytes;
  if (place.stage == layout.pp - 1) {
    const bool draws = place.tensor == 0;
    // Its own part; and where it gathers them, another's and all.
    const int64_t own = part_of(config.vocab_size, place.tensor, layout.tp).size();
    const int64_t gathered = draws && layout.tp > 1 ? own + config.vocab_size : 0;
    bytes += limits.max_logit_rows *
             ((own + gathered) * int64_t{sizeof(float)} + config.hidden_size * kActivationBytes);
    if (draws) bytes += memory.draw_bytes;
  }
  return bytes;
}

int64_t kv_token_bytes(const ShardPlan& plan, int64_t stage, fathom_dtype dtype) {
  const bool last = stage == plan.layout().pp - 1;
  const int64_t layers = plan.stages()[static_cast<size_t>(stage)].size() +
                         (last ? plan.config().num_nextn_predict_layers : 0);
  return layers * plan.config().latent_dim() * static_cast<int64_t>(device::dtype_size(dtype));
}

}  // namespace

Footprint footprint_of(const ShardPlan& plan, int64_t rank, const RunLimits& limits,
                       const RankMemory& memory) {
  const RankPlace place = place_of(plan.layout(), rank);
  Footprint print;
  for (const auto& part : plan.parts_of(rank)) {
    ++print.tensors;
    print.file_bytes += static_cast<int64_t>(part.file_bytes);
    print.weight_bytes += static_cast<int64_t>(part.loaded_bytes);
  }
  print.workspace_bytes = workspace_bytes(plan, place, limits, memory);
  print.kv_token_bytes = kv_token_bytes(plan, place.stage, memory.kv_dtype);
  if (memory.memory == 0) return print;
  const int64_t left = usable_of(memory.memory) - print.weight_bytes - print.workspace_bytes;
  const int64_t block = print.kv_token_bytes * limits.kv_block_size;
  print.kv_tokens = std::max<int64_t>(left / block, 0) * limits.kv_block_size;
  if (left < block) {
    print.missing_bytes = least_memory(print, limits.kv_block_size) - memory.memory;
  }
  return print;
}

std::vector<Footprint> footprints_of(const ShardPlan& plan, const RunLimits& limits,
                                     const RankMemory& memory) {
  std::vector<Footprint> all;
  for (int64_t rank = 0; rank < plan.layout().ranks(); ++rank) {
    all.push_back(footprint_of(plan, rank, limits, memory));
  }
  return all;
}

int64_t least_memory(const std::vector<Footprint>& footprints, int32_t kv_block_size) {
  int64_t least = 0;
  for (const auto& print : footprints) {
    least = std::max(least, least_memory(print, kv_block_size));
  }
  return least;
}

int64_t kv_tokens_of(const ParallelLayout& layout, const std::vector<Footprint>& footprints) {
  std::vector<int64_t> held(static_cast<size_t>(layout.dp), INT64_MAX);
  for (int64_t rank = 0; rank < layout.ranks(); ++rank) {
    int64_t& least = held[static_cast<size_t>(place_of(layout, rank).data)];
    least = std::min(least, footprints[static_cast<size_t>(rank)].kv_tokens);
  }
  int64_t sum = 0;
  for (const int64_t tokens : held) sum += tokens;
  return sum;
}

}  // namespace fathom::models::deepseek_v3
