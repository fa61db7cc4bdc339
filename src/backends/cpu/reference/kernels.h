// The oracle: each operator as its formula reads, F32 data, float64 sums.
#pragma once

#include "backends/cpu/kernels/kernel_set.h"

namespace fathom::cpu::reference {

void embed(ThreadPool& pool, const fathom_embed_args& args);
void rms_norm(ThreadPool& pool, const fathom_rms_norm_args& args);
void linear(ThreadPool& pool, const fathom_linear_args& args);
void silu_mul(ThreadPool& pool, const fathom_silu_mul_args& args);
void mla_prepare(ThreadPool& pool, const fathom_mla_prepare_args& args);
void mla_prefill(ThreadPool& pool, const fathom_mla_attention_args& args);
void mla_decode(ThreadPool& pool, const fathom_mla_attention_args& args);
void moe_gate(ThreadPool& pool, const fathom_moe_gate_args& args);
void moe_experts(ThreadPool& pool, const fathom_moe_experts_args& args);
void add(ThreadPool& pool, const fathom_add_args& args);
void logits_stats(ThreadPool& pool, const fathom_logits_stats_args& args);

size_t mla_prefill_workspace(int threads, const fathom_mla_attention_args& args);
size_t mla_decode_workspace(int threads, const fathom_mla_attention_args& args);
size_t moe_experts_workspace(int threads, const fathom_moe_experts_args& args);

}  // namespace fathom::cpu::reference
