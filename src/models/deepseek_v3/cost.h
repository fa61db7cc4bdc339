// What a step must read and compute at least, from the shapes alone: the other half of a roofline.
#pragma once

#include <cstdint>

#include "device/device.h"
#include "models/deepseek_v3/config/config.h"
#include "models/deepseek_v3/weights/weights.h"

namespace fathom::models::deepseek_v3 {

class CostModel {
 public:
  // Of the main model; the MTP layer is not part of it. If it drafts, it goes on from every row.
  CostModel(const Config& config, const Weights& weights, fathom_dtype kv_dtype, bool drafts);

  // Bytes that one step must read to give each of `sequences` its next token, `context` tokens
  // into it: every weight outside the routed experts, each distinct expert once, and the latents.
  // Routing is taken to be even: of E experts, k a token, E (1 - (1 - k/E)^sequences) are read.
  double decode_bytes(int64_t sequences, int64_t context) const;

  // Floating-point operations (a multiply and an add are two) that reading `tokens` prompt tokens
  // of one sequence takes behind `context` others: weights, and expanded attention over what each
  // token sees. Logits are for the last token only; without drafts so is what the last block does
  // but for its latents.
  double prefill_flops(int64_t tokens, int64_t context) const;

  // What most of the weights that a step reads are stored in.
  fathom_dtype main_dtype() const { return main_dtype_; }

 private:
  double shared_bytes_ = 0;        // read by every step, whatever its tokens
  double expert_bytes_ = 0;        // one routed expert in every MoE layer
  double latent_bytes_ = 0;        // of one token, over all layers
  double token_flops_ = 0;         // of one token, outside attention scores and the head
  double last_flops_ = 0;          // the part of token_flops_ that only tokens with logits need
  double last_context_flops_ = 0;  // likewise of context_flops_
  double head_flops_ = 0;          // of one row of logits
  double context_flops_ = 0;       // of one token for each token it sees
  int64_t experts_ = 0;
  int64_t experts_per_token_ = 0;
  fathom_dtype main_dtype_ = FATHOM_F32;
};

}  // namespace fathom::models::deepseek_v3
