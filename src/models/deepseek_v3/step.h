// One step's buffers and the parts of the forward pass over them. T rows, H hidden size. Where a
// model is divided over ranks, heads, I, experts and vocabulary are this rank's part.
#pragma once

#include "base/result.h"
#include "device/device.h"
#include "models/deepseek_v3/config.h"
#include "models/deepseek_v3/expert_counts.h"
#include "models/deepseek_v3/expert_exchange.h"
#include "models/deepseek_v3/kept_rows.h"
#include "models/deepseek_v3/rank_links.h"
#include "models/deepseek_v3/ranks.h"
#include "models/deepseek_v3/share.h"
#include "models/deepseek_v3/step_metadata.h"
#include "models/deepseek_v3/weights.h"
#include "ops/ops.h"

namespace fathom::models::deepseek_v3 {

// Planned once for the largest step, then cut to each step's rows.
struct StepBuffers {
  void* metadata;         // StepMetadata::max_bytes()
  void* draws;            // DrawLists::max_bytes(); nothing where ranks divide the model
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

  void* scratch;  // of the kernels
  size_t scratch_bytes;
};

// Everything a block needs to know of the step it runs in.
struct Step {
  ops::Context ops;
  const Config& config;
  const Share& share;
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

// The rows of x that this rank keeps between sums. Of ranks with the same tokens each keeps some,
// where there are enough: what is done row by row is then done once, and a sum goes to where it is
// needed (sequence parallelism: Korthikanti et al. 2022, section 4.2.2). Otherwise each keeps all.
Tensor own_rows(const Step& step, const Tensor& x);
// Picking rows is an embedding lookup in the table of them.
Weight as_table(const Tensor& rows);

// x += the x of the other ranks with the same tokens, in own_rows(): makes a whole of their parts.
Status sum_rows(Step& step, const char* name, const Tensor& x);
// Other ranks' own rows of x become this one's, too.
Status gather_rows(Step& step, const char* name, const Tensor& x);

// out [T, H] = the embeddings of in.tokens, in own_rows().
Status embed(Step& step, const Weight& table, const Tensor& out);

// The stream between two stages: residual += x goes to the next one, which begins with it.
Status send_stream(Step& step);
Status receive_stream(Step& step);

// q [T, heads * (nope + rope)], rotated, and this step's latents into `cache`. Takes own_rows of
// normed.
Status prepare_attention(Step& step, const MlaWeights& weights, const fathom_kv_cache& cache);
// x = attention(q), by cached latents: this rank's heads' part of all rows.
Status attention(Step& step, const MlaWeights& weights, const fathom_kv_cache& cache);

// Narrows the step to `kept` rows, L of them: q, residual and what is cut to T rows.
Status keep_rows(Step& step, const KeptRows& kept);

// x = w2 (silu(w1 normed) * w3 normed): this rank's part of the sum.
Status mlp(Step& step, const MlpWeights& weights);

// x = shared(normed) + sum of the chosen experts: likewise.
Status moe(Step& step, const MoeWeights& weights);

// One transformer block: residual and x in, residual and x out, in own_rows(). The stream's value
// is residual + x; the first block of a stack takes it from residual alone.
enum class StreamInput { kResidualPlusX, kResidualOnly };
// With `kept`, other rows end once their latents are cached: the output is of kept rows alone.
Status block(Step& step, const BlockWeights& weights, const fathom_kv_cache& cache,
             StreamInput input, const KeptRows* kept);

}  // namespace fathom::models::deepseek_v3
