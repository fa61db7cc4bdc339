// What a set of kernels is to the backend: one function an operator, called with arguments that
// check_args.h has found right. They cannot fail and keep nothing between calls.
#pragma once

#include <cstddef>

#include "backends/cpu/host/thread_pool.h"
#include "device/abi.h"

namespace fathom::cpu {

struct KernelSet {
  const char* name;       // "reference", "avx2", ...
  fathom_dtype kv_dtype;  // preferred for the latent cache
  bool reads_packed;      // weights as pack() lays them out, see packing.h

  void (*embed)(ThreadPool&, const fathom_embed_args&);
  void (*rms_norm)(ThreadPool&, const fathom_rms_norm_args&);
  void (*linear)(ThreadPool&, const fathom_linear_args&);
  void (*silu_mul)(ThreadPool&, const fathom_silu_mul_args&);
  void (*mla_prepare)(ThreadPool&, const fathom_mla_prepare_args&);
  void (*mla_prefill)(ThreadPool&, const fathom_mla_attention_args&);
  void (*mla_decode)(ThreadPool&, const fathom_mla_attention_args&);
  void (*moe_gate)(ThreadPool&, const fathom_moe_gate_args&);
  void (*moe_experts)(ThreadPool&, const fathom_moe_experts_args&);
  void (*add)(ThreadPool&, const fathom_add_args&);
  void (*logits_stats)(ThreadPool&, const fathom_logits_stats_args&);

  // For measuring what the processor does at best: read_range() loads every byte; the others do
  // `rounds` rounds of products in registers and return how many operations that was, 0 where this
  // instruction set has none of that kind. All NULL where the set is not made for speed.
  void (*read_range)(const float* from, int64_t count);
  int64_t (*multiply_int8)(int64_t rounds);
  int64_t (*multiply_bf16)(int64_t rounds);

  // Scratch bytes of the three that need some; `threads` is the pool's.
  size_t (*mla_prefill_workspace)(int threads, const fathom_mla_attention_args&);
  size_t (*mla_decode_workspace)(int threads, const fathom_mla_attention_args&);
  size_t (*moe_experts_workspace)(int threads, const fathom_moe_experts_args&);
};

}  // namespace fathom::cpu
