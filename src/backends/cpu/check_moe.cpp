#include "backends/cpu/check_args.h"
#include "backends/cpu/check_parts.h"
#include "backends/cpu/moe_gate_limits.h"

namespace fathom::cpu {
namespace {

fathom_status check_groups(const fathom_moe_gate_args& args) {
  const int64_t experts = args.logits.shape[1];
  if (args.num_groups < 1 || experts % args.num_groups != 0) {
    return invalid("moe_gate: expected num_groups to divide {} experts, got {}", experts,
                   args.num_groups);
  }
  if (args.top_groups < 1 || args.top_groups > args.num_groups) {
    return invalid("moe_gate: expected top_groups in [1, {}], got {}", args.num_groups,
                   args.top_groups);
  }
  // SOFTMAX chooses among all experts, whatever the groups.
  const int64_t open = args.kind == FATHOM_GATE_SOFTMAX
                           ? experts
                           : experts / args.num_groups * int64_t{args.top_groups};
  if (args.top_k < 1 || args.top_k > open) {
    return invalid("moe_gate: expected top_k in [1, {}], got {}", open, args.top_k);
  }
  return FATHOM_OK;
}

// The experts' weights of one kind: all of one layout and format, so that the tokens are split or
// quantised once for all of them.
fathom_status check_experts_part(const CheckContext& context, const char* name,
                                 const fathom_weight* weights, int64_t count,
                                 const fathom_weight& first, int64_t n, int64_t k) {
  for (int64_t e = 0; e < count; ++e) {
    const fathom_weight& w = weights[e];
    FATHOM_CPU_TRY(check_weight(context, "moe_experts", name, w, n, k, Layouts::kRowsOrPacked));
    if (w.layout != first.layout) {
      return unsupported("moe_experts: expected every {} in layout {}, got {}", name, first.layout,
                         w.layout);
    }
    if (w.dtype != first.dtype || w.block_k != first.block_k) {
      return unsupported("moe_experts: expected every {} of type {} in groups of {}, got {}, {}",
                         name, first.dtype, first.block_k, w.dtype, w.block_k);
    }
  }
  return FATHOM_OK;
}

fathom_status check_expert_weights(const CheckContext& context,
                                   const fathom_moe_experts_args& args) {
  if (args.num_experts < 0 || args.first_expert < 0 || args.top_k < 1) {
    return invalid(
        "moe_experts: expected num_experts and first_expert of 0 or more and top_k of 1 or more, "
        "got {}, {}, {}",
        args.num_experts, args.first_expert, args.top_k);
  }
  if (args.num_experts == 0) return FATHOM_OK;
  if (args.gate == nullptr || args.up == nullptr || args.down == nullptr) {
    return invalid("moe_experts: expected gate, up and down, got NULL");
  }
  const int64_t hidden = args.x.shape[1];
  const int64_t inner = args.gate[0].n;
  const int64_t count = args.num_experts;
  FATHOM_CPU_TRY(
      check_experts_part(context, "gate", args.gate, count, args.gate[0], inner, hidden));
  FATHOM_CPU_TRY(check_experts_part(context, "up", args.up, count, args.gate[0], inner, hidden));
  return check_experts_part(context, "down", args.down, count, args.down[0], hidden, inner);
}

}  // namespace

fathom_status check(const CheckContext& context, const fathom_moe_gate_args& args) {
  FATHOM_CPU_TRY(check_size("moe_gate", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "moe_gate", "logits", args.logits, -1, -1));
  if (args.kind != FATHOM_GATE_NOAUX_TC && args.kind != FATHOM_GATE_SOFTMAX &&
      args.kind != FATHOM_GATE_SOFTMAX_GROUPS) {
    return unsupported("moe_gate: expected kind NOAUX_TC, SOFTMAX or SOFTMAX_GROUPS, got {}",
                       args.kind);
  }
  if (args.logits.shape[1] > kMaxGateExperts) {
    return unsupported("moe_gate: expected {} experts or fewer, got {}", kMaxGateExperts,
                       args.logits.shape[1]);
  }
  FATHOM_CPU_TRY(check_groups(args));
  const bool any = args.logits.shape[0] > 0;
  FATHOM_CPU_TRY(check_pointer(context, "moe_gate", "expert_ids", args.expert_ids, any));
  return check_pointer(context, "moe_gate", "expert_weights", args.expert_weights, any);
}

fathom_status check(const CheckContext& context, const fathom_moe_experts_args& args) {
  FATHOM_CPU_TRY(check_size("moe_experts", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "moe_experts", "x", args.x, -1, -1));
  const int64_t rows = args.x.shape[0];
  FATHOM_CPU_TRY(check_matrix(context, "moe_experts", "out", args.out, rows, args.x.shape[1]));
  FATHOM_CPU_TRY(check_expert_weights(context, args));
  FATHOM_CPU_TRY(check_pointer(context, "moe_experts", "expert_ids", args.expert_ids, rows > 0));
  FATHOM_CPU_TRY(
      check_pointer(context, "moe_experts", "expert_weights", args.expert_weights, rows > 0));
  return check_workspace(context, "moe_experts", args.workspace, args.workspace_bytes,
                         context.kernels.moe_experts_workspace(context.threads, args));
}

}  // namespace fathom::cpu
