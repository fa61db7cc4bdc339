// The operators of DeepSeek-V3, checked, over whatever chip the context is on. Stateless: every
// buffer is the caller's. Shapes are checked here, once, for all chips; a violated shape is our own
// bug and aborts, a failing chip is an Error.
//
// Sizes: T tokens of the step, H hidden size. Formulas are in device/abi.h beside each operator's
// arguments. A fused operator that a chip lacks runs as its decomposition on the same chip:
//   rms_norm with residual = add, then rms_norm
//   mla_decode             = mla_prefill (the same mathematics, expanded; other rounding)
// sample() is a chip's own, or not there: can_sample() says. take_tokens() has copy_tokens() in its
// place, where can_take_tokens() says no. All others are required of a chip;
// missing_operators() names those it lacks.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/device.h"

namespace fathom::ops {

using device::Tensor;
using device::Weight;

// Where operators run, and the scratch memory their kernels may use.
struct Context {
  device::Device& device;
  void* workspace = nullptr;
  size_t workspace_bytes = 0;
};

// out[t] = table[tokens[t]], or zeros where tokens[t] is -1; out [T, H], table [vocab, H].
Status embed(Context& context, const int32_t* tokens, const Weight& table, const Tensor& out);

// out = norm(x) * weight, weight F32 [H] on the device; out may be x.
Status rms_norm(Context& context, const Tensor& x, const float* weight, float eps,
                const Tensor& out);
// residual += x, out = norm(residual) * weight.
Status add_rms_norm(Context& context, const Tensor& x, const Tensor& residual, const float* weight,
                    float eps, const Tensor& out);

// out [T, n] = x [T, k] W^T, W [n, k] in any weight format.
Status linear(Context& context, const Tensor& x, const Weight& weight, const Tensor& out);

// out = silu(gate) * up, all [T, I]; out may be gate.
Status silu_mul(Context& context, const Tensor& gate, const Tensor& up, const Tensor& out);

// x += y.
Status add(Context& context, const Tensor& x, const Tensor& y);

// Latent attention (DeepSeek-V2 paper, section 2.1).
struct MlaPrepare {
  Tensor q;     // [T, heads * (nope + rope)], its rope parts rewritten
  Tensor kv_a;  // [T, kv_lora_rank + rope]
  const float* kv_norm = nullptr;
  float eps = 0;
  int32_t max_positions = 0;
  const float* cos_sin = nullptr;      // [max_positions, rope]
  const int32_t* positions = nullptr;  // [T], each in [0, max_positions)
  const int64_t* slots = nullptr;      // [T]
};
Status mla_prepare(Context& context, const fathom_mla_shape& shape, const MlaPrepare& args,
                   const fathom_kv_cache& cache);

// Attention of `sequences`' query rows: expanded (given tokens) and absorbed (generated tokens).
// Where max_sequences is 0 there is nothing to do.
Status mla_prefill(Context& context, const fathom_mla_shape& shape, const Tensor& q,
                   const Weight& wkv_b, const fathom_kv_cache& cache,
                   const fathom_sequences& sequences, const Tensor& out);
Status mla_decode(Context& context, const fathom_mla_shape& shape, const Tensor& q,
                  const Weight& wkv_b, const fathom_kv_cache& cache,
                  const fathom_sequences& sequences, const Tensor& out);

// Expert choice (DeepSeek-V3 paper, section 2.1.2).
struct MoeGate {
  fathom_gate_kind kind = FATHOM_GATE_NOAUX_TC;
  const float* bias = nullptr;  // [experts] or null
  int32_t top_k = 1;
  int32_t num_groups = 1;
  int32_t top_groups = 1;
  bool normalize = true;
  float scale = 1;
  const int32_t* rows = nullptr;  // one number: rows from it on choose nothing; or null
  int64_t* loads = nullptr;       // [experts] or null: += how often each was chosen
};
Status moe_gate(Context& context, const Tensor& logits, const MoeGate& gate, int32_t* expert_ids,
                float* expert_weights);

// out = or out += the chosen experts' SwiGLU, weighted.
enum class Accumulate { kOverwrite, kAdd };
struct MoeExperts {
  const fathom_expert* table = nullptr;  // [count], on the device
  int64_t count = 0;
  int64_t first = 0;  // number of the first; tokens' choices of others add nothing
  // Format and shape of every expert's, without data: gate and up [I, H], down [H, I].
  Weight gate = {};
  Weight up = {};
  Weight down = {};
};
Status moe_experts(Context& context, const Tensor& x, const int32_t* expert_ids,
                   const float* expert_weights, int32_t top_k, const MoeExperts& experts,
                   Accumulate accumulate, const Tensor& out);

// Rows that go to the ranks which have their experts, and come back: fathom_moe_exchange_args. All
// on the device but for `comm`. It is optional; the host then passes rows by collectives.
struct MoeExchange {
  fathom_comm* comm = nullptr;  // null where only shapes count
  int64_t experts_a_rank = 0;
  int32_t top_k = 0;
  int64_t max_rows = 0;
  const int32_t* rows = nullptr;          // one number: how many of T there are
  const int32_t* expert_ids = nullptr;    // [T, top_k]
  const float* expert_weights = nullptr;  // [T, top_k]
  Tensor out = {};                        // [ranks * max_rows, H]
  int32_t* out_ids = nullptr;             // [ranks * max_rows, top_k]
  float* out_weights = nullptr;           // likewise
  int32_t* counts = nullptr;              // [ranks]
};
// out = the rows that came; x [T, H].
Status moe_dispatch(Context& context, const MoeExchange& exchange, const Tensor& x);
// x = or x += the sums of what became of its rows in `out`.
Status moe_combine(Context& context, const MoeExchange& exchange, Accumulate accumulate,
                   const Tensor& x);
bool can_exchange_rows(const device::Device& device, const MoeExchange& exchange, const Tensor& x);
// 0 where the chip lacks them.
Result<size_t> moe_exchange_workspace_bytes(const device::Device& device,
                                            const MoeExchange& exchange, const Tensor& x);

// tokens[i] = the token of draw i (sampling/rule.h) from its row of logits, F32 [L, vocab]; -1
// where none may be drawn. All on the device; sizes and shapes are those of fathom_sample_args.
struct Sample {
  const fathom_draw* draws = nullptr;  // [max_draws]
  const int32_t* num_draws = nullptr;  // one number
  int64_t max_draws = 0;
  const uint32_t* masks = nullptr;  // [max_draws, ceil(vocab / 32)]
  const fathom_seen_token* seen = nullptr;
  const fathom_token_bias* biases = nullptr;
  const int32_t* banned = nullptr;
};
Status sample(Context& context, const Tensor& logits, const Sample& draws, int32_t* tokens);
// Whether the chip draws so many from such logits. Where it does not, the host has to.
bool can_sample(const device::Device& device, const Tensor& logits, int64_t max_draws);

// tokens[i] = drawn[-2 - tokens[i]] where that is -2 or less. tokens [T] and drawn [max_drawn] are
// on the device; on_host [T] are the same tokens.
Status take_tokens(Context& context, std::span<const int32_t> on_host, int32_t* tokens,
                   const int32_t* drawn, int64_t max_drawn);
// The same by a copy for each such token.
Status copy_tokens(device::Device& device, std::span<const int32_t> on_host, int32_t* tokens,
                   const int32_t* drawn, int64_t max_drawn);
// Whether the chip has the operator; to be asked when a model loads.
bool can_take_tokens(const device::Device& device);

// Scratch that attention and experts need at most, for planning; data pointers may be null.
Result<size_t> mla_workspace_bytes(const device::Device& device, const fathom_mla_shape& shape,
                                   const Tensor& q, const Weight& wkv_b,
                                   const fathom_kv_cache& cache, const fathom_sequences& sequences,
                                   const Tensor& out);
Result<size_t> moe_experts_workspace_bytes(const device::Device& device, const Tensor& x,
                                           int32_t top_k, const MoeExperts& experts,
                                           const Tensor& out);

// 0 where the chip does not sample.
Result<size_t> sample_workspace_bytes(const device::Device& device, const Tensor& logits,
                                      int64_t max_draws);

// Names of required operators that the chip has no kernel for.
std::vector<std::string> missing_operators(const device::Device& device);

}  // namespace fathom::ops
