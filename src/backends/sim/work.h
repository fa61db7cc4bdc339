// What the real kernels would read, write and compute for the same arguments.
#pragma once

#include "backends/sim/cost_model.h"
#include "device/abi.h"

namespace fathom::sim {

Work work_of(const fathom_embed_args& args);
Work work_of(const fathom_rms_norm_args& args);
Work work_of(const fathom_linear_args& args);
Work work_of(const fathom_silu_mul_args& args);
Work work_of(const fathom_add_args& args);
Work work_of(const fathom_mla_prepare_args& args);
Work work_of(const fathom_moe_gate_args& args);
Work work_of(const fathom_logits_stats_args& args);
// Each draw reads its row of logits.
Work work_of(const fathom_sample_args& args);
Work work_of(const fathom_take_tokens_args& args);
// Each distinct expert is read once.
Work work_of(const fathom_moe_experts_args& args);
// Expanded: keys and values are made of the latents by wkv_b, for the whole context.
Work work_of_prefill(const fathom_mla_attention_args& args);
// Absorbed: queries and outputs go through wkv_b, and heads share the latents.
Work work_of_decode(const fathom_mla_attention_args& args);

}  // namespace fathom::sim
