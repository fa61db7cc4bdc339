#include "backends/cpu/reference/kernels.h"

#include "backends/cpu/kernel_sets.h"

namespace fathom::cpu {

const KernelSet& reference_kernels() {
  namespace r = reference;
  static constexpr KernelSet set = {
      .name = "reference",
      .kv_dtype = FATHOM_F32,
      .reads_packed = false,
      .embed = r::embed,
      .rms_norm = r::rms_norm,
      .linear = r::linear,
      .silu_mul = r::silu_mul,
      .mla_prepare = r::mla_prepare,
      .mla_prefill = r::mla_prefill,
      .mla_decode = r::mla_decode,
      .moe_gate = r::moe_gate,
      .moe_experts = r::moe_experts,
      .add = r::add,
      .logits_stats = r::logits_stats,
      .read_range = nullptr,
      .multiply_int8 = nullptr,
      .multiply_bf16 = nullptr,
      .mla_prefill_workspace = r::mla_prefill_workspace,
      .mla_decode_workspace = r::mla_decode_workspace,
      .moe_experts_workspace = r::moe_experts_workspace,
  };
  return set;
}

}  // namespace fathom::cpu
