#include "backends/cpu/native/kernels.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#define FATHOM_TEXT_INNER(name) #name
#define FATHOM_TEXT(name) FATHOM_TEXT_INNER(name)

// kernel_sets.cpp declares and chooses it.
const KernelSet& kernels() {
  namespace isa = FATHOM_CPU_ISA;
  static constexpr KernelSet set = {
      .name = FATHOM_TEXT(FATHOM_CPU_ISA),
      // Rounding latents to bf16 is enough to send tokens of a small model to other experts, and on
      // a CPU attention waits for arithmetic, not for memory.
      .kv_dtype = FATHOM_F32,
      .reads_packed = true,
      .embed = isa::embed,
      .rms_norm = isa::rms_norm,
      .linear = isa::linear,
      .silu_mul = isa::silu_mul,
      .mla_prepare = isa::mla_prepare,
      .mla_prefill = isa::mla_prefill,
      .mla_decode = isa::mla_decode,
      .moe_gate = isa::moe_gate,
      .moe_experts = isa::moe_experts,
      .add = isa::add,
      .logits_stats = isa::logits_stats,
      .read_range = isa::read_range,
      .multiply_int8 = isa::multiply_int8,
      .multiply_bf16 = isa::multiply_bf16,
      .mla_prefill_workspace = isa::mla_prefill_workspace,
      .mla_decode_workspace = isa::mla_decode_workspace,
      .moe_experts_workspace = isa::moe_experts_workspace,
  };
  return set;
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
