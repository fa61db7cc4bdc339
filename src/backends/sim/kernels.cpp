#include "backends/sim/kernels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "backends/sim/row_state.h"
#include "device/last_error.h"

namespace fathom::sim {
namespace {

// Rows that are longer are logits of tokens; shorter ones, of experts, are cheaper written whole.
constexpr int64_t kLongRow = 4096;

fathom_status check_rows(const fathom_tensor& tensor) {
  if (holds_states(tensor)) return FATHOM_OK;
  return device::fail(FATHOM_UNSUPPORTED,
                      "sim: expected rows of 8 bytes or more, got shorter ones");
}

// Each row of `out` stands for what the same row of `x` does.
fathom_status pass_on(const fathom_tensor& x, const fathom_tensor& out) {
  if (check_rows(x) != FATHOM_OK || check_rows(out) != FATHOM_OK) return FATHOM_UNSUPPORTED;
  for (int64_t row = 0; row < x.shape[0]; ++row) store_state(out, row, load_state(x, row));
  return FATHOM_OK;
}

// What a row of a linear layer's input stands for. The MTP layer's has a token in its first half
// and the sequence before that token in its second: no other tensor ever has a state there.
RowState joined_state(const CostModel& costs, const fathom_tensor& x, int64_t row) {
  const RowState token = load_state(x, row);
  const size_t half = static_cast<size_t>(x.shape[1] / 2) * element_bytes(x.dtype);
  if (half < sizeof(RowState)) return token;
  const RowState before = load_state(row_of(x, row) + half);
  if (!before.attended() || token.attended()) return token;
  const RowState next = follow(before, token);
  const double chance = std::ldexp(static_cast<double>(scramble(next.bits) >> 11), -53);
  return chance < costs.right_drafts ? next : follow(next, token);
}

constexpr int64_t kZerosAtOnce = 4;
bool are_zero(const float* logits) {
  std::array<uint64_t, 2> bits;
  static_assert(sizeof(bits) == kZerosAtOnce * sizeof(float));
  std::memcpy(bits.data(), logits, sizeof(bits));
  return (bits[0] | bits[1]) == 0;
}

// Rows of logits keep their 8 greatest at most: what is left of top_k are the first others.
void choose_experts(const float* logits, int64_t experts, int32_t top_k, int32_t* ids) {
  int32_t found = 0;
  for (int64_t e = 0; e < experts && found < top_k;) {
    if (e % kZerosAtOnce == 0 && e + kZerosAtOnce <= experts && are_zero(logits + e)) {
      e += kZerosAtOnce;
      continue;
    }
    if (logits[e] > 0) ids[found++] = static_cast<int32_t>(e);
    ++e;
  }
  std::sort(ids, ids + found, [&](int32_t a, int32_t b) {
    return logits[a] != logits[b] ? logits[a] > logits[b] : a < b;
  });
  for (int64_t e = 0; e < experts && found < top_k; ++e) {
    if (logits[e] == 0) ids[found++] = static_cast<int32_t>(e);
  }
}

std::byte* cache_row(const fathom_mla_attention_args& args, const fathom_sequence& sequence,
                     int64_t position) {
  const fathom_kv_cache& cache = args.cache;
  const int32_t* blocks = args.sequences.blocks + sequence.block_begin;
  const int64_t slot =
      int64_t{blocks[position / cache.block_size]} * cache.block_size + position % cache.block_size;
  const int64_t width = int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim;
  return static_cast<std::byte*>(cache.data) +
         static_cast<size_t>(slot * width) * element_bytes(cache.dtype);
}

void attend(const fathom_mla_attention_args& args, const fathom_sequence& sequence) {
  RowState before = {};
  bool before_known = sequence.context == 0;
  for (int64_t i = 0; i < sequence.query_count; ++i) {
    const int64_t row = sequence.query_begin + i;
    RowState state = load_state(args.q, row);
    if (!state.attended()) {
      const int64_t position = sequence.context + i;
      if (!before_known) before = load_state(cache_row(args, sequence, position - 1));
      before = state = follow(before, state);
      before_known = true;
      std::memcpy(cache_row(args, sequence, position), &state, sizeof(state));
    }
    store_state(args.out, row, state);
  }
}

}  // namespace

fathom_status run(const CostModel&, const fathom_embed_args& args) {
  if (check_rows(args.out) != FATHOM_OK) return FATHOM_UNSUPPORTED;
  const size_t row_bytes = static_cast<size_t>(args.table.k) * element_bytes(args.table.dtype);
  for (int64_t t = 0; t < args.num_tokens; ++t) {
    const int32_t token = args.tokens[t];
    if (token == -1) {
      store_state(args.out, t, RowState{});
      continue;
    }
    if (token < 0 || token >= args.table.n) {
      return device::fail(FATHOM_INVALID, "embed: expected token ids of the table, got others");
    }
    // A table of hidden states has some; one of weights was never written.
    const auto* row =
        static_cast<const std::byte*>(args.table.data) + static_cast<size_t>(token) * row_bytes;
    const RowState state =
        row_bytes >= sizeof(RowState) ? load_state(static_cast<const void*>(row)) : RowState{};
    store_state(args.out, t, state.written() ? state : token_state(token));
  }
  return FATHOM_OK;
}

fathom_status run(const CostModel&, const fathom_rms_norm_args& args) {
  if (args.residual.data != nullptr) {
    const fathom_status status = pass_on(args.x, args.residual);
    if (status != FATHOM_OK) return status;
  }
  return pass_on(args.x, args.out);
}

fathom_status run(const CostModel& costs, LogitRows& rows, const fathom_linear_args& args) {
  if (check_rows(args.x) != FATHOM_OK) return FATHOM_UNSUPPORTED;
  const bool logits = args.out.dtype == FATHOM_F32;  // activations are BF16
  if (!logits && check_rows(args.out) != FATHOM_OK) return FATHOM_UNSUPPORTED;
  for (int64_t row = 0; row < args.x.shape[0]; ++row) {
    const RowState state = joined_state(costs, args.x, row);
    if (logits) {
      auto* out = reinterpret_cast<float*>(row_of(args.out, row));
      if (args.out.shape[1] > kLongRow) {
        rows.write(out, args.out.shape[1], state);
      } else {
        write_logits(out, args.out.shape[1], state);
      }
    } else {
      store_state(args.out, row, state);
    }
  }
  return FATHOM_OK;
}

fathom_status run(const CostModel&, const fathom_silu_mul_args& args) {
  return pass_on(args.gate, args.out);
}

// Both stand for the same tokens.
fathom_status run(const CostModel&, const fathom_add_args& args) {
  return pass_on(args.y, args.x);
}

// The cache is written by the attention that follows.
fathom_status run(const CostModel&, const fathom_mla_prepare_args& args) {
  return check_rows(args.kv_a);
}

fathom_status run(const CostModel&, const fathom_mla_attention_args& args) {
  if (check_rows(args.q) != FATHOM_OK || check_rows(args.out) != FATHOM_OK) {
    return FATHOM_UNSUPPORTED;
  }
  const auto latent = static_cast<size_t>(args.shape.kv_lora_rank + args.shape.rope_dim);
  if (latent * element_bytes(args.cache.dtype) < sizeof(RowState)) {
    return device::fail(FATHOM_UNSUPPORTED,
                        "sim: expected latents of 8 bytes or more, got shorter ones");
  }
  for (int32_t i = 0; i < *args.sequences.count; ++i) attend(args, args.sequences.sequences[i]);
  return FATHOM_OK;
}

fathom_status run(const CostModel&, const fathom_moe_gate_args& args) {
  const float weight = args.scale / static_cast<float>(args.top_k);
  const int64_t all = args.logits.shape[0];
  const int64_t rows = args.rows != nullptr ? std::min<int64_t>(*args.rows, all) : all;
  for (int64_t row = 0; row < rows; ++row) {
    const auto* logits = reinterpret_cast<const float*>(row_of(args.logits, row));
    choose_experts(logits, args.logits.shape[1], args.top_k, args.expert_ids + row * args.top_k);
  }
  const int64_t chosen = rows * args.top_k;
  std::fill_n(args.expert_weights, chosen, weight);
  std::fill(args.expert_ids + chosen, args.expert_ids + all * args.top_k, -1);
  std::fill(args.expert_weights + chosen, args.expert_weights + all * args.top_k, 0.0f);
  for (int64_t i = 0; args.loads != nullptr && i < chosen; ++i) ++args.loads[args.expert_ids[i]];
  return FATHOM_OK;
}

fathom_status run(const CostModel&, const fathom_moe_experts_args& args) {
  return args.accumulate != 0 ? FATHOM_OK : pass_on(args.x, args.out);
}

fathom_status run(const CostModel&, const fathom_logits_stats_args& args) {
  for (int64_t row = 0; row < args.logits.shape[0]; ++row) {
    const auto* logits = reinterpret_cast<const float*>(row_of(args.logits, row));
    const float* best = std::max_element(logits, logits + args.logits.shape[1]);
    double sum = 0;
    for (int64_t i = 0; i < args.logits.shape[1]; ++i) sum += std::exp(double{logits[i]} - *best);
    args.max_value[row] = *best;
    args.max_index[row] = static_cast<int32_t>(best - logits);
    args.log_sum_exp[row] = static_cast<float>(*best + std::log(sum));
  }
  return FATHOM_OK;
}

}  // namespace fathom::sim
