// Checks of a call's arguments against the contract, the same for every kernel set.
#pragma once

#include "backends/cpu/kernels/kernel_set.h"
#include "device/abi.h"

namespace fathom::cpu {

// kShapes: sizes and types only, pointers to data may be NULL. kCall: also pointers, scratch size
// and what the data shows without arithmetic: token ids, cache slots, block tables.
enum class CheckDepth { kShapes, kCall };

// What a check may need besides the arguments.
struct CheckContext {
  CheckDepth depth;
  const KernelSet& kernels;
  int threads;
};

// FATHOM_OK; FATHOM_INVALID where the arguments contradict the contract; FATHOM_UNSUPPORTED where
// they do not but no kernel takes them. On failure last_error() says which argument and why.
fathom_status check(const CheckContext& context, const fathom_embed_args& args);
fathom_status check(const CheckContext& context, const fathom_rms_norm_args& args);
fathom_status check(const CheckContext& context, const fathom_linear_args& args);
fathom_status check(const CheckContext& context, const fathom_silu_mul_args& args);
fathom_status check(const CheckContext& context, const fathom_add_args& args);
fathom_status check(const CheckContext& context, const fathom_logits_stats_args& args);
fathom_status check(const CheckContext& context, const fathom_sample_args& args);
fathom_status check(const CheckContext& context, const fathom_take_tokens_args& args);
fathom_status check(const CheckContext& context, const fathom_moe_gate_args& args);
fathom_status check(const CheckContext& context, const fathom_moe_experts_args& args);
fathom_status check(const CheckContext& context, const fathom_mla_prepare_args& args);
// `workspace` is the scratch function of the attention kernel in question.
fathom_status check(const CheckContext& context, const fathom_mla_attention_args& args,
                    size_t (*workspace)(int threads, const fathom_mla_attention_args&));

}  // namespace fathom::cpu
