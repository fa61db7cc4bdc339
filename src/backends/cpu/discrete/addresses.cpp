#include "backends/cpu/discrete/addresses.h"

#include <algorithm>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/packing/pack_weights.h"
#include "device/tensor.h"

namespace fathom::cpu::discrete {
namespace {

size_t bytes_of(int64_t count, size_t size) {
  return static_cast<size_t>(count) * size;
}

size_t element_size(int32_t dtype) {
  return device::dtype_size(static_cast<fathom_dtype>(dtype));
}

// From the first element to the last.
size_t bytes_of(const fathom_tensor& tensor) {
  if (tensor.shape[0] == 0) return 0;
  return bytes_of((tensor.shape[0] - 1) * tensor.stride[0] + tensor.shape[1],
                  element_size(tensor.dtype));
}

size_t data_bytes(const fathom_weight& w) {
  if (w.layout != FATHOM_LAYOUT_ROWS) return packed_bytes(w);
  return bytes_of(w.n, device::weight_row_bytes(static_cast<fathom_dtype>(w.dtype), w.k));
}

size_t scale_bytes(const fathom_weight& w) {
  if (w.layout != FATHOM_LAYOUT_ROWS || !is_scaled(w)) return 0;
  const int64_t down = (w.n + w.block_n - 1) / w.block_n;
  const int64_t across = (w.k + w.block_k - 1) / w.block_k;
  return bytes_of(down * across, sizeof(float));
}

void visit_cache(Addresses& addresses, fathom_kv_cache& cache, const fathom_mla_shape& shape) {
  const CacheParts all = cache_parts(cache, shape);
  const auto bytes = [&](int32_t part) {
    return bytes_of(cache.num_blocks * cache.block_size * all.parts[part].width,
                    element_size(cache.dtype));
  };
  addresses.visit("the cache", cache.data, bytes(0));
  if (all.count > 1) addresses.visit("the cache's second plane", cache.rope, bytes(1));
}

}  // namespace

void Addresses::visit(const char* what, fathom_tensor& tensor) {
  visit(what, tensor.data, bytes_of(tensor));
}

void Addresses::visit(const char* what, fathom_weight& weight) {
  visit(what, weight.data, data_bytes(weight));
  visit("a weight's scale", weight.scale, scale_bytes(weight));
}

void visit_addresses(Addresses& addresses, fathom_embed_args& args) {
  addresses.visit("tokens", args.tokens, bytes_of(args.num_tokens, sizeof(*args.tokens)));
  addresses.visit("table", args.table);
  addresses.visit("out", args.out);
}

void visit_addresses(Addresses& addresses, fathom_rms_norm_args& args) {
  addresses.visit("x", args.x);
  if (args.residual.data != nullptr) addresses.visit("residual", args.residual);
  addresses.visit("weight", args.weight, bytes_of(args.x.shape[1], sizeof(*args.weight)));
  addresses.visit("out", args.out);
}

void visit_addresses(Addresses& addresses, fathom_linear_args& args) {
  addresses.visit("x", args.x);
  addresses.visit("weight", args.weight);
  addresses.visit("out", args.out);
}

void visit_addresses(Addresses& addresses, fathom_silu_mul_args& args) {
  addresses.visit("gate", args.gate);
  addresses.visit("up", args.up);
  addresses.visit("out", args.out);
}

void visit_addresses(Addresses& addresses, fathom_add_args& args) {
  addresses.visit("x", args.x);
  addresses.visit("y", args.y);
}

void visit_addresses(Addresses& addresses, fathom_mla_prepare_args& args) {
  const int64_t rows = args.q.shape[0];
  const fathom_mla_shape& shape = args.shape;
  addresses.visit("q", args.q);
  addresses.visit("kv_a", args.kv_a);
  addresses.visit("kv_norm", args.kv_norm, bytes_of(shape.kv_lora_rank, sizeof(*args.kv_norm)));
  addresses.visit("cos_sin", args.cos_sin,
                  bytes_of(int64_t{args.max_positions} * shape.rope_dim, sizeof(*args.cos_sin)));
  addresses.visit("positions", args.positions, bytes_of(rows, sizeof(*args.positions)));
  addresses.visit("slots", args.slots, bytes_of(rows, sizeof(*args.slots)));
  visit_cache(addresses, args.cache, shape);
}

void visit_addresses(Addresses& addresses, fathom_mla_attention_args& args) {
  fathom_sequences& all = args.sequences;
  addresses.visit("q", args.q);
  addresses.visit("wkv_b", args.wkv_b);
  visit_cache(addresses, args.cache, args.shape);
  addresses.visit("sequences", all.sequences, bytes_of(all.max_sequences, sizeof(*all.sequences)));
  addresses.visit("the number of sequences", all.count, sizeof(*all.count));
  addresses.visit("block numbers", all.blocks, bytes_of(all.max_blocks, sizeof(*all.blocks)));
  addresses.visit("out", args.out);
  addresses.visit("workspace", args.workspace, args.workspace_bytes);
}

void visit_addresses(Addresses& addresses, fathom_moe_gate_args& args) {
  const int64_t chosen = args.logits.shape[0] * args.top_k;
  addresses.visit("logits", args.logits);
  if (args.bias != nullptr) {
    addresses.visit("bias", args.bias, bytes_of(args.logits.shape[1], sizeof(*args.bias)));
  }
  addresses.visit("expert_ids", args.expert_ids, bytes_of(chosen, sizeof(*args.expert_ids)));
  addresses.visit("expert_weights", args.expert_weights,
                  bytes_of(chosen, sizeof(*args.expert_weights)));
  if (args.rows != nullptr) addresses.visit("the number of rows", args.rows, sizeof(*args.rows));
  if (args.loads != nullptr) {
    addresses.visit("loads", args.loads, bytes_of(args.logits.shape[1], sizeof(*args.loads)));
  }
}

void visit_addresses(Addresses& addresses, fathom_moe_experts_args& args) {
  const int64_t chosen = args.x.shape[0] * args.top_k;
  addresses.visit("x", args.x);
  addresses.visit("expert_ids", args.expert_ids, bytes_of(chosen, sizeof(*args.expert_ids)));
  addresses.visit("expert_weights", args.expert_weights,
                  bytes_of(chosen, sizeof(*args.expert_weights)));
  addresses.visit("experts", args.experts, bytes_of(args.num_experts, sizeof(*args.experts)));
  addresses.visit("out", args.out);
  addresses.visit("workspace", args.workspace, args.workspace_bytes);
}

void visit_addresses(Addresses& addresses, fathom_logits_stats_args& args) {
  const int64_t rows = args.logits.shape[0];
  addresses.visit("logits", args.logits);
  addresses.visit("max_value", args.max_value, bytes_of(rows, sizeof(*args.max_value)));
  addresses.visit("max_index", args.max_index, bytes_of(rows, sizeof(*args.max_index)));
  addresses.visit("log_sum_exp", args.log_sum_exp, bytes_of(rows, sizeof(*args.log_sum_exp)));
}

void visit_addresses(Addresses& addresses, fathom_sample_args& args) {
  addresses.visit("logits", args.logits);
  addresses.visit("draws", args.draws, bytes_of(args.max_draws, sizeof(*args.draws)));
  addresses.visit("the number of draws", args.num_draws, sizeof(*args.num_draws));
  addresses.visit("tokens", args.tokens, bytes_of(args.max_draws, sizeof(*args.tokens)));
  addresses.visit("workspace", args.workspace, args.workspace_bytes);
}

void visit_lists(Addresses& addresses, fathom_sample_args& args) {
  const int64_t words = (args.logits.shape[1] + 31) / 32;
  int64_t masks = 0, seen = 0, biases = 0, banned = 0;
  const auto reach = [](int64_t& end, int32_t begin, int32_t count) {
    if (count > 0) end = std::max(end, int64_t{begin} + count);
  };
  for (int64_t i = 0; i < std::min<int64_t>(*args.num_draws, args.max_draws); ++i) {
    const fathom_draw& draw = args.draws[i];
    masks = std::max(masks, int64_t{draw.mask} + 1);
    reach(seen, draw.seen_begin, draw.seen_count);
    reach(biases, draw.bias_begin, draw.bias_count);
    reach(banned, draw.banned_begin, draw.banned_count);
  }
  addresses.visit("masks", args.masks, bytes_of(masks * words, sizeof(*args.masks)));
  addresses.visit("tokens seen", args.seen, bytes_of(seen, sizeof(*args.seen)));
  addresses.visit("biases", args.biases, bytes_of(biases, sizeof(*args.biases)));
  addresses.visit("tokens banned", args.banned, bytes_of(banned, sizeof(*args.banned)));
}

void visit_addresses(Addresses& addresses, fathom_take_tokens_args& args) {
  addresses.visit("tokens", args.tokens, bytes_of(args.num_tokens, sizeof(*args.tokens)));
  addresses.visit("drawn", args.drawn, bytes_of(args.max_drawn, sizeof(*args.drawn)));
}

void visit_addresses(Addresses& addresses, fathom_moe_exchange_args& args) {
  const int64_t chosen = args.x.shape[0] * args.top_k;
  const int64_t arriving = args.out.shape[0] * args.top_k;
  addresses.visit("the number of rows", args.rows, sizeof(*args.rows));
  addresses.visit("x", args.x);
  addresses.visit("expert_ids", args.expert_ids, bytes_of(chosen, sizeof(*args.expert_ids)));
  addresses.visit("expert_weights", args.expert_weights,
                  bytes_of(chosen, sizeof(*args.expert_weights)));
  addresses.visit("out", args.out);
  addresses.visit("out_ids", args.out_ids, bytes_of(arriving, sizeof(*args.out_ids)));
  addresses.visit("out_weights", args.out_weights, bytes_of(arriving, sizeof(*args.out_weights)));
  addresses.visit("counts", args.counts,
                  bytes_of(args.out.shape[0] / args.max_rows, sizeof(*args.counts)));
  addresses.visit("workspace", args.workspace, args.workspace_bytes);
}

void visit_addresses(Addresses& addresses, const fathom_moe_experts_args& args,
                     fathom_expert& expert) {
  addresses.visit("an expert's gate", expert.gate, data_bytes(args.gate));
  addresses.visit("an expert's up", expert.up, data_bytes(args.up));
  addresses.visit("an expert's down", expert.down, data_bytes(args.down));
  addresses.visit("an expert's gate scale", expert.gate_scale, scale_bytes(args.gate));
  addresses.visit("an expert's up scale", expert.up_scale, scale_bytes(args.up));
  addresses.visit("an expert's down scale", expert.down_scale, scale_bytes(args.down));
}

}  // namespace fathom::cpu::discrete
