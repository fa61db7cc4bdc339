#include "backends/sim/work.h"

#include <bitset>

#include "backends/sim/row_state.h"

namespace fathom::sim {
namespace {

constexpr int64_t kMaxExperts = 4096;  // counted apart; those beyond count as one

double numbers(const fathom_tensor& tensor) {
  return static_cast<double>(tensor.shape[0]) * static_cast<double>(tensor.shape[1]);
}
double bytes_of(const fathom_tensor& tensor) {
  return numbers(tensor) * static_cast<double>(element_bytes(tensor.dtype));
}

double numbers(const fathom_weight& weight) {
  return static_cast<double>(weight.n) * static_cast<double>(weight.k);
}
double bytes_of(const fathom_weight& weight) {
  return numbers(weight) * (weight.dtype == FATHOM_I4 ? 0.5 : double(element_bytes(weight.dtype)));
}

// Elementwise work on `count` tensors like this one.
Work passes(const fathom_tensor& tensor, double count) {
  return {count * bytes_of(tensor), count * numbers(tensor)};
}

struct Attended {
  double latents = 0;  // positions whose latents are read
  double rows = 0;     // queries
  double pairs = 0;    // query and position that it sees
};
Attended attended(const fathom_mla_attention_args& args) {
  Attended sum;
  for (int32_t i = 0; i < *args.sequences.count; ++i) {
    const fathom_sequence& sequence = args.sequences.sequences[i];
    const double rows = sequence.query_count;
    const double context = sequence.context;
    sum.latents += context + rows;
    sum.rows += rows;
    sum.pairs += rows * context + rows * (rows + 1) / 2;
  }
  return sum;
}

Work attention(const fathom_mla_attention_args& args, const Attended& sum, double flops) {
  const double latent = args.shape.kv_lora_rank + args.shape.rope_dim;
  return {bytes_of(args.wkv_b) + bytes_of(args.q) + bytes_of(args.out) +
              sum.latents * latent * static_cast<double>(element_bytes(args.cache.dtype)),
          flops};
}

}  // namespace

Work work_of(const fathom_embed_args& args) {
  return passes(args.out, 2);
}
Work work_of(const fathom_rms_norm_args& args) {
  return passes(args.x, args.residual.data != nullptr ? 4 : 2);
}
Work work_of(const fathom_silu_mul_args& args) {
  return passes(args.gate, 3);
}
Work work_of(const fathom_add_args& args) {
  return passes(args.x, 3);
}
Work work_of(const fathom_mla_prepare_args& args) {
  return passes(args.kv_a, 3);
}
Work work_of(const fathom_moe_gate_args& args) {
  return passes(args.logits, 1);
}
Work work_of(const fathom_logits_stats_args& args) {
  return passes(args.logits, 1);
}

Work work_of(const fathom_sample_args& args) {
  const double numbers_read = double(*args.num_draws) * static_cast<double>(args.logits.shape[1]);
  return {numbers_read * sizeof(float), numbers_read};
}
Work work_of(const fathom_take_tokens_args& args) {
  return {static_cast<double>(args.num_tokens) * 2 * sizeof(int32_t), 0};
}

Work work_of(const fathom_linear_args& args) {
  return {bytes_of(args.weight) + bytes_of(args.x) + bytes_of(args.out),
          2 * static_cast<double>(args.x.shape[0]) * numbers(args.weight)};
}

Work work_of(const fathom_moe_experts_args& args) {
  if (args.num_experts == 0) return {};
  std::bitset<kMaxExperts> read;
  int64_t chosen = 0;
  for (int64_t i = 0; i < args.x.shape[0] * args.top_k; ++i) {
    const int64_t expert = args.expert_ids[i] - args.first_expert;
    if (expert < 0 || expert >= args.num_experts) continue;
    ++chosen;
    read.set(static_cast<size_t>(std::min(expert, kMaxExperts - 1)));
  }
  const double expert_bytes = bytes_of(args.gate) + bytes_of(args.up) + bytes_of(args.down);
  const double expert_numbers = numbers(args.gate) + numbers(args.up) + numbers(args.down);
  return {static_cast<double>(read.count()) * expert_bytes + bytes_of(args.x) + bytes_of(args.out),
          2 * static_cast<double>(chosen) * expert_numbers};
}

Work work_of_prefill(const fathom_mla_attention_args& args) {
  const fathom_mla_shape& shape = args.shape;
  const Attended sum = attended(args);
  const double of_a_pair = 2.0 * shape.num_heads * (shape.nope_dim + shape.rope_dim + shape.v_dim);
  return attention(args, sum, sum.pairs * of_a_pair + sum.latents * 2 * numbers(args.wkv_b));
}

Work work_of_decode(const fathom_mla_attention_args& args) {
  const fathom_mla_shape& shape = args.shape;
  const Attended sum = attended(args);
  const double of_a_pair = 2.0 * shape.num_heads * (2 * shape.kv_lora_rank + shape.rope_dim);
  return attention(args, sum, sum.pairs * of_a_pair + sum.rows * 2 * numbers(args.wkv_b));
}

}  // namespace fathom::sim
