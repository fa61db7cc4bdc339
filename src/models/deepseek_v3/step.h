// One step's buffers and the parts of the forward pass over them. T rows, H hidden size.
#pragma once

#include <span>

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/weights.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

using device::Tensor;

// Planned once for the largest step, then cut to each step's rows.
struct StepBuffers {
  int32_t* tokens;      // [T]
  int32_t* positions;   // [T]
  int64_t* slots;       // [T]
  int32_t* logit_rows;  // [L]
  int32_t* sources;     // [T] rows of `hidden` that the MTP layer goes on from
  float* cos_sin;       // [max_context, rope]

  Tensor x;         // [T, H] output of the sub-layer before
  Tensor residual;  // [T, H] the stream the sub-layers add to
  Tensor normed;    // [T, H]
  Tensor hidden;    // [T, H] after the final norm; kept for the MTP layer, and so is its own
  Tensor joined;    // [T, 2 H] the MTP layer's input

  Tensor q_a;     // [T, q_lora]
  Tensor q;       // [T, heads * (nope + rope)]
  Tensor kv_a;    // [T, kv_lora + rope]
  Tensor values;  // [T, heads * v] attention's output

  Tensor gate;            // [T, I] of a dense or shared MLP
  Tensor up;              // [T, I]
  Tensor router;          // [T, experts] F32
  int32_t* expert_ids;    // [T, top_k]
  float* expert_weights;  // [T, top_k]

  Tensor logit_hidden;  // [L, H]
  Tensor logits;        // [L, vocab] F32

  void* scratch;  // of the kernels
  size_t scratch_bytes;
};

// Everything a block needs to know of the step it runs in.
struct Step {
  ops::Context ops;
  const Config& config;
  fathom_mla_shape mla;
  StepBuffers at;  // cut to this step's T and L rows
  std::span<const fathom_sequence> given;
  std::span<const fathom_sequence> generated;
};

// The same buffers with T and L rows.
StepBuffers cut(const StepBuffers& planned, int64_t rows, int64_t logit_rows);

// x = attention(normed), by cached latents; writes this step's own to `cache` first.
Status attention(Step& step, const MlaWeights& weights, const fathom_kv_cache& cache);

// x = w2 (silu(w1 normed) * w3 normed).
Status mlp(Step& step, const MlpWeights& weights);

// x = shared(normed) + sum of the chosen experts.
Status moe(Step& step, const MoeWeights& weights);

// One transformer block: residual and x in, residual and x out. The stream's value is
// residual + x; the first block of a stack takes it from residual alone.
enum class StreamInput { kResidualPlusX, kResidualOnly };
Status block(Step& step, const BlockWeights& weights, const fathom_kv_cache& cache,
             StreamInput input);

}  // namespace fathom::models::deepseek_v3
