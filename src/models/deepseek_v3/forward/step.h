// One step's buffers, and what the parts of the forward pass over them know of it. T rows, L rows
// of logits, H hidden size. Where a model is divided over ranks, heads, I, experts and vocabulary
// are this rank's part.
#pragma once

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/forward/expert_counts.h"
#include "models/deepseek_v3/forward/expert_exchange.h"
#include "models/deepseek_v3/ranks/rank_links.h"
#include "models/deepseek_v3/ranks/ranks.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/deepseek_v3/step/logit_rows.h"
#include "models/deepseek_v3/step/step_metadata.h"
#include "models/deepseek_v3/weights/weights.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

// Planned once for the largest step, then cut to each step's rows.
struct StepBuffers {
  void* metadata;         // StepMetadata::max_bytes()
  void* draws;            // DrawLayout::max_bytes(), of ranks that draw
  int32_t* drawn;         // [L] tokens
  float* cos_sin;         // [max_positions, rope]
  int32_t max_positions;  // the context that memory is planned for

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
  int64_t* expert_loads;  // [layers, experts]: ExpertCounts
  ExchangeBuffers exchange;

  Tensor logit_q;       // [L, heads * (nope + rope)] of the last block
  Tensor logit_hidden;  // [L, H]
  Tensor logits;        // [L, vocab] F32
  // Where ranks divide the vocabulary, of the one that draws; elsewhere the former has no rows, and
  // the latter are `logits`.
  Tensor arriving_logits;  // [L, another rank's part]
  Tensor all_logits;       // [L, vocab of all]

  void* scratch;  // of the kernels
  size_t scratch_bytes;
};

// Everything a block needs to know of the step it runs in.
struct Step {
  ops::Context ops;
  const Config& config;
  const RankShard& shard;
  const Ranks& ranks;
  RankLinks* links;          // null: one rank has all
  ExpertExchange* exchange;  // null: one rank has all experts
  ExpertCounts* counts;      // null: there are no experts
  int64_t layer;             // of this rank's, the MTP layer last
  fathom_mla_shape mla;
  StepBuffers at;  // cut to this step's T and L rows
  StepInputs in;
  fathom_sequences given;  // of the rows that go on
  fathom_sequences generated;
};

// The same buffers with T and L rows; of `hidden` and `logits`, which outlast a microbatch, those
// from first_row and first_logit on.
StepBuffers cut(const StepBuffers& planned, int64_t first_row, int64_t rows, int64_t first_logit,
                int64_t logit_rows);

}  // namespace fathom::models::deepseek_v3
