#include "models/deepseek_v3/forward/memory_plan.h"

#include <algorithm>

#include "models/deepseek_v3/config/rope.h"
#include "models/deepseek_v3/step/draw_lists.h"
#include "models/deepseek_v3/step/step_graphs.h"
#include "models/deepseek_v3/weights/expert_table.h"

namespace fathom::models::deepseek_v3 {

fathom_mla_shape mla_shape(const Config& config, int32_t heads) {
  return {.num_heads = heads,
          .kv_lora_rank = config.kv_lora_rank,
          .nope_dim = config.qk_nope_head_dim,
          .rope_dim = config.qk_rope_head_dim,
          .v_dim = config.v_head_dim,
          .softmax_scale = config.softmax_scale()};
}

namespace {

int64_t cached_layers(const Config& config, const RankShard& shard) {
  return shard.layers.size() + (shard.is_last() ? config.num_nextn_predict_layers : 0);
}

// Of one layer's cache of `blocks` blocks: the planes' bytes, each padded to the device's
// alignment. Where entries lie in one row the second plane has none.
struct CacheBytes {
  size_t data;
  size_t rope;
};
CacheBytes layer_cache_bytes(const Config& config, const device::Device& device,
                             const RunLimits& limits, int64_t blocks) {
  const auto plane = [&](int64_t width) {
    const auto numbers = static_cast<size_t>(blocks * limits.kv_block_size * width);
    return device::Arena::padded(numbers * device::dtype_size(limits.kv_dtype),
                                 device.info().alignment);
  };
  if (device.kv_planes() == 1) return {plane(config.latent_dim()), 0};
  return {plane(config.kv_lora_rank), plane(config.qk_rope_head_dim)};
}

// The widest part of a dense MLP of any layer; shared experts are one dense MLP, unless they are
// placed as the others.
int64_t widest_mlp(const Config& config, const RankShard& shard) {
  const int64_t shared = config.n_shared_experts * config.moe_intermediate_size;
  return part_of(std::max(config.intermediate_size, shard.layout.shared > 0 ? 0 : shared), 0,
                 shard.layout.tp)
      .size();
}

// Of one MoE layer: rows of all data indices.
Result<size_t> experts_bytes(const Config& config, const MoeWeights& moe,
                             const device::Device& device, const ExchangeSizes& sizes,
                             int64_t rows) {
  const Tensor x = device::matrix(nullptr, device.activation_dtype(),
                                  std::max(rows, sizes.all_rows), config.hidden_size);
  return ops::moe_experts_workspace_bytes(device, x, static_cast<int32_t>(sizes.visits),
                                          experts_of(moe), x);
}

// Scratch for the operators that ask for some, over the largest step.
Result<size_t> scratch_bytes(const Config& config, const RankShard& shard, const Weights& weights,
                             const device::Device& device, const RunLimits& limits) {
  const auto activation = device.activation_dtype();
  const auto shape = mla_shape(config, shard.heads);
  const int64_t rows = limits.max_step_tokens;
  const Tensor q = device::matrix(nullptr, activation, rows, shard.heads * config.q_head_dim());
  const Tensor values =
      device::matrix(nullptr, activation, rows, int64_t{shard.heads} * config.v_head_dim);
  const fathom_kv_cache cache = {.data = nullptr,
                                 .dtype = limits.kv_dtype,
                                 .block_size = limits.kv_block_size,
                                 .num_blocks = limits.num_kv_blocks,
                                 .rope = nullptr};
  const fathom_sequences most = {.sequences = nullptr,
                                 .count = nullptr,
                                 .blocks = nullptr,
                                 .max_sequences = static_cast<int32_t>(limits.max_step_sequences),
                                 .max_queries = static_cast<int32_t>(rows),
                                 .max_positions = limits.max_context,
                                 .max_blocks = StepMetadata::max_blocks(limits)};
  const Weight& wkv_b = weights.blocks.front().attn.wkv_b;
  FATHOM_ASSIGN(size_t bytes,
                ops::mla_workspace_bytes(device, shape, q, wkv_b, cache, most, values));
  const ExchangeSizes sizes(config, shard, rows);
  const auto add_experts = [&](const BlockWeights& block) -> Status {
    if (!block.moe) return {};
    FATHOM_ASSIGN(const size_t experts, experts_bytes(config, *block.moe, device, sizes, rows));
    bytes = std::max(bytes, experts);
    return {};
  };
  for (const auto& block : weights.blocks) FATHOM_TRY(add_experts(block));
  if (weights.mtp) FATHOM_TRY(add_experts(weights.mtp->block));
  if (const auto exchange = dispatch_shape(config, shard, activation, rows)) {
    const Tensor x = device::matrix(nullptr, activation, rows, config.hidden_size);
    FATHOM_ASSIGN(const size_t passing, ops::moe_exchange_workspace_bytes(device, *exchange, x));
    bytes = std::max(bytes, passing);
  }
  if (!shard.draws()) return bytes;
  const int64_t logit_rows = limits.max_logit_rows;
  const Tensor logits = device::matrix(nullptr, FATHOM_F32, logit_rows, config.vocab_size);
  FATHOM_ASSIGN(const size_t sampling, ops::sample_workspace_bytes(device, logits, logit_rows));
  return std::max(bytes, sampling);
}

}  // namespace

Result<fathom_dtype> choose_kv_dtype(const TensorSource& source, const Config& config,
                                     WeightFormat format, fathom_dtype preferred) {
  const int64_t rows =
      int64_t{config.num_attention_heads} * (config.qk_nope_head_dim + config.v_head_dim);
  FATHOM_ASSIGN(const Weight stored, source.matrix("model.layers.0.self_attn.kv_b_proj.weight",
                                                   rows, config.kv_lora_rank));
  const auto dtype = choose_dtype(format, WeightUse::kAttention,
                                  static_cast<fathom_dtype>(stored.dtype), config.kv_lora_rank);
  return dtype == FATHOM_I8 || dtype == FATHOM_I4 ? FATHOM_BF16 : preferred;
}

size_t kv_block_bytes(const Config& config, const RankShard& shard, const device::Device& device,
                      const RunLimits& limits) {
  const CacheBytes layer = layer_cache_bytes(config, device, limits, 1);
  return static_cast<size_t>(cached_layers(config, shard)) * (layer.data + layer.rope);
}

int64_t cached_blocks(const device::Device& device, const RunLimits& limits) {
  return limits.num_kv_blocks + (device.graphs() ? 1 : 0);
}

std::vector<fathom_kv_cache> plan_caches(const Config& config, const RankShard& shard,
                                         const device::Device& device, const RunLimits& limits,
                                         device::Arena& arena) {
  const int64_t blocks = cached_blocks(device, limits);
  const CacheBytes layer = layer_cache_bytes(config, device, limits, blocks);
  std::vector<fathom_kv_cache> caches;
  for (int64_t i = 0; i < cached_layers(config, shard); ++i) {
    void* data = arena.take(layer.data);
    caches.push_back({.data = data,
                      .dtype = limits.kv_dtype,
                      .block_size = limits.kv_block_size,
                      .num_blocks = blocks,
                      .rope = device.kv_planes() == 2 ? arena.take(layer.rope) : nullptr});
  }
  return caches;
}

RankMemory step_memory(const Config& config, const RunLimits& limits, int64_t memory,
                       fathom_dtype kv_dtype) {
  const int64_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
  const size_t draws = DrawLayout::max_bytes(limits.max_logit_rows, config.vocab_size);
  return {.memory = memory,
          .kv_dtype = kv_dtype,
          .metadata_bytes = static_cast<int64_t>(StepMetadata::max_bytes(limits)),
          .draw_bytes = static_cast<int64_t>(draws),
          .graph_bytes = graph_bytes(limits, layers)};
}

Result<WorkspacePlan> WorkspacePlan::make(const Config& config, const RankShard& shard,
                                          const Weights& weights, const device::Device& device,
                                          const RunLimits& limits) {
  WorkspacePlan plan;
  plan.config_ = config;
  plan.shard_ = shard;
  plan.limits_ = limits;
  plan.activation_ = device.activation_dtype();
  FATHOM_ASSIGN(plan.scratch_bytes_, scratch_bytes(config, shard, weights, device, limits));
  plan.lay_out([&](size_t wanted) -> void* {
    plan.bytes += device::Arena::padded(wanted, device.info().alignment);
    return nullptr;
  });
  return plan;
}

// Asks `allocate` for every buffer: once to add up their bytes, once to cut them out.
template <typename Allocate>
StepBuffers WorkspacePlan::lay_out(Allocate&& allocate) const {
  const auto matrix = [&](int64_t rows, int64_t columns, fathom_dtype dtype) {
    const size_t size = static_cast<size_t>(rows * columns) * device::dtype_size(dtype);
    return device::matrix(allocate(size), dtype, rows, columns);
  };
  const auto bytes_of = [](int64_t count, size_t size) {
    return static_cast<size_t>(count) * size;
  };
  const Config& c = config_;
  const RankShard& shard = shard_;
  const int64_t rows = limits_.max_step_tokens;
  const auto act = activation_;
  StepBuffers at = {};
  at.metadata = allocate(StepMetadata::max_bytes(limits_));
  at.draws =
      allocate(shard.draws() ? DrawLayout::max_bytes(limits_.max_logit_rows, c.vocab_size) : 0);
  at.drawn = static_cast<int32_t*>(allocate(bytes_of(limits_.max_logit_rows, sizeof(int32_t))));
  at.max_positions = static_cast<int32_t>(limits_.max_context);
  at.cos_sin = static_cast<float*>(
      allocate(bytes_of(limits_.max_context * c.qk_rope_head_dim, sizeof(float))));
  at.x = matrix(rows, c.hidden_size, act);
  at.residual = matrix(rows, c.hidden_size, act);
  at.normed = matrix(rows, c.hidden_size, act);
  at.hidden = matrix(rows, c.hidden_size, act);
  const int64_t mtp_rows = shard.is_last() && c.num_nextn_predict_layers > 0 ? rows : 0;
  at.joined = matrix(mtp_rows, 2 * c.hidden_size, act);
  at.q_a = matrix(rows, c.q_lora_rank, act);
  at.q = matrix(rows, shard.heads * c.q_head_dim(), act);
  at.kv_a = matrix(rows, c.latent_dim(), act);
  at.values = matrix(rows, int64_t{shard.heads} * c.v_head_dim, act);
  at.gate = matrix(rows, widest_mlp(c, shard), act);
  at.up = matrix(rows, widest_mlp(c, shard), act);
  at.router = matrix(rows, c.n_routed_experts, FATHOM_F32);
  at.expert_ids =
      static_cast<int32_t*>(allocate(bytes_of(rows * c.num_experts_per_tok, sizeof(int32_t))));
  at.expert_weights =
      static_cast<float*>(allocate(bytes_of(rows * c.num_experts_per_tok, sizeof(float))));
  at.expert_loads = static_cast<int64_t*>(
      allocate(ExpertCounts::bytes(cached_layers(c, shard), c.n_routed_experts)));
  const ExchangeSizes sizes(c, shard, rows);
  ExchangeBuffers& exchange = at.exchange;
  exchange.rows = matrix(sizes.arriving, c.hidden_size, act);
  exchange.ids = static_cast<int32_t*>(allocate(bytes_of(sizes.wishes, sizeof(int32_t))));
  exchange.weights = static_cast<float*>(allocate(bytes_of(sizes.wishes, sizeof(float))));
  exchange.results = matrix(sizes.arriving, c.hidden_size, act);
  exchange.row_counts =
      static_cast<int32_t*>(allocate(bytes_of(sizes.row_counts, sizeof(int32_t))));
  exchange.came = static_cast<int32_t*>(
      allocate(bytes_of(sizes.row_counts > 0 ? shard.layout.dp : 0, sizeof(int32_t))));
  exchange.picks = static_cast<int32_t*>(allocate(bytes_of(sizes.leaving, sizeof(int32_t))));
  exchange.places = static_cast<int32_t*>(allocate(bytes_of(sizes.stops * rows, sizeof(int32_t))));
  exchange.leaving = matrix(sizes.leaving, c.hidden_size, act);
  exchange.returned = matrix(sizes.leaving, c.hidden_size, act);
  const int64_t summed = sizes.leaving > 0 ? rows : 0;
  exchange.sum = matrix(summed, c.hidden_size, act);
  exchange.picked = matrix(summed, c.hidden_size, act);
  const int64_t logit_rows = shard.is_last() ? limits_.max_logit_rows : 0;
  at.logit_q = matrix(logit_rows, shard.heads * c.q_head_dim(), act);
  at.logit_hidden = matrix(logit_rows, c.hidden_size, act);
  at.logits = matrix(logit_rows, shard.tokens.size(), FATHOM_F32);
  const int64_t gathered = shard.layout.tp > 1 && shard.draws() ? logit_rows : 0;
  at.arriving_logits = matrix(gathered, shard.tokens.size(), FATHOM_F32);
  at.all_logits = gathered > 0 ? matrix(gathered, c.vocab_size, FATHOM_F32) : at.logits;
  at.scratch = allocate(scratch_bytes_);
  at.scratch_bytes = scratch_bytes_;
  return at;
}

Result<StepBuffers> WorkspacePlan::take(device::Arena& arena, device::Device& device) const {
  const StepBuffers at = lay_out([&](size_t wanted) { return arena.take(wanted); });
  const auto table = rope_table(config_, limits_.max_context);
  FATHOM_TRY(device.copy_to_device(at.cos_sin, table.data(), table.size() * sizeof(float)));
  FATHOM_TRY(device.synchronize());  // `table` ends here
  return at;
}

}  // namespace fathom::models::deepseek_v3
