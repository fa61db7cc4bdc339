#include "models/deepseek_v3/cost.h"

#include <cmath>

namespace fathom::models::deepseek_v3 {
namespace {

double read_bytes(const Weight& w) {
  const auto dtype = static_cast<fathom_dtype>(w.dtype);
  const double elements =
      static_cast<double>(w.n) * static_cast<double>(device::weight_row_bytes(dtype, w.k));
  if (dtype != FATHOM_F8_E4M3 && dtype != FATHOM_I8 && dtype != FATHOM_I4) return elements;
  const int64_t scales = ((w.n + w.block_n - 1) / w.block_n) * ((w.k + w.block_k - 1) / w.block_k);
  const size_t scale_bytes = dtype == FATHOM_I4 ? sizeof(uint16_t) : sizeof(float);
  return elements + static_cast<double>(scales) * static_cast<double>(scale_bytes);
}

// A multiply and an add for each weight, on one row.
double flops_of(const Weight& w) {
  return 2.0 * static_cast<double>(w.n) * static_cast<double>(w.k);
}

struct Sum {
  double bytes = 0;
  double flops = 0;

  void add(const Weight& w) {
    if (w.n == 0) return;  // without q_lora, say
    bytes += read_bytes(w);
    flops += flops_of(w);
  }
  void add(const MlpWeights& mlp) {
    add(mlp.w1);
    add(mlp.w2);
    add(mlp.w3);
  }
  void add(const MlaWeights& attn) {
    for (const Weight* w : {&attn.wq, &attn.wq_a, &attn.wq_b, &attn.wkv_a, &attn.wkv_b, &attn.wo}) {
      add(*w);
    }
  }
};

MlpWeights one_expert(const MoeWeights& moe) {
  return {.w1 = moe.w1.front(), .w2 = moe.w2.front(), .w3 = moe.w3.front()};
}

// What a block multiplies a row with, but for what makes keys and values.
double flops_behind_latents(const BlockWeights& block, int64_t experts_per_token) {
  Sum sum;
  for (const Weight* w : {&block.attn.wq, &block.attn.wq_a, &block.attn.wq_b, &block.attn.wo}) {
    sum.add(*w);
  }
  if (block.mlp) sum.add(*block.mlp);
  if (!block.moe) return sum.flops;
  sum.add(block.moe->gate);
  if (block.moe->shared) sum.add(*block.moe->shared);
  Sum expert;
  expert.add(one_expert(*block.moe));
  return sum.flops + expert.flops * static_cast<double>(experts_per_token);
}

}  // namespace

CostModel::CostModel(const Config& config, const Weights& weights, fathom_dtype kv_dtype,
                     bool drafts)
    : experts_(config.n_routed_experts), experts_per_token_(config.num_experts_per_tok) {
  Sum shared;
  Sum expert;
  for (const BlockWeights& block : weights.blocks) {
    shared.add(block.attn);
    if (block.mlp) shared.add(*block.mlp);
    if (!block.moe) continue;
    shared.add(block.moe->gate);
    if (block.moe->shared) shared.add(*block.moe->shared);
    expert.add(one_expert(*block.moe));
  }
  const auto layers = static_cast<double>(weights.blocks.size());
  shared_bytes_ = shared.bytes + read_bytes(weights.head);
  expert_bytes_ = expert.bytes;
  latent_bytes_ = layers * static_cast<double>(config.latent_dim()) *
                  static_cast<double>(device::dtype_size(kv_dtype));
  token_flops_ = shared.flops + expert.flops * static_cast<double>(experts_per_token_);
  head_flops_ = flops_of(weights.head);
  context_flops_ = layers * 2.0 * config.num_attention_heads *
                   static_cast<double>(config.q_head_dim() + config.v_head_dim);
  main_dtype_ = static_cast<fathom_dtype>(weights.blocks.back().attn.wo.dtype);
  if (!drafts) {
    last_flops_ = flops_behind_latents(weights.blocks.back(), config.num_experts_per_tok);
    last_context_flops_ = context_flops_ / layers;
  }
}

double CostModel::decode_bytes(int64_t sequences, int64_t context) const {
  const auto batch = static_cast<double>(sequences);
  double distinct = 0;
  if (experts_ > 0) {
    const auto all = static_cast<double>(experts_);
    distinct = all * (1 - std::pow(1 - static_cast<double>(experts_per_token_) / all, batch));
  }
  return shared_bytes_ + distinct * expert_bytes_ +
         batch * static_cast<double>(context) * latent_bytes_;
}

double CostModel::prefill_flops(int64_t tokens, int64_t context) const {
  const auto rows = static_cast<double>(tokens);
  const double seen = rows * (static_cast<double>(context) + (rows + 1) / 2);
  const double seen_by_last = static_cast<double>(context) + rows;
  return rows * token_flops_ + seen * context_flops_ + head_flops_ - (rows - 1) * last_flops_ -
         (seen - seen_by_last) * last_context_flops_;
}

}  // namespace fathom::models::deepseek_v3
