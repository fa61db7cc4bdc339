#include "backends/cpu/checks/check_args.h"
#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/kernels/moe_gate_limits.h"

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

// The experts' weights of one kind have one layout and format, so that the tokens are split or
// quantised once for all of them; gate and up share it, for both read the same tokens.
fathom_status check_formats(const CheckContext& context, const fathom_moe_experts_args& args) {
  const CheckContext shapes = {CheckDepth::kShapes, context.kernels, context.threads};
  const auto check_one = [&](const char* name, const fathom_weight& w, int64_t n, int64_t k) {
    return check_weight(shapes, "moe_experts", name, w, n, k, Layouts::kRowsOrPacked);
  };
  const fathom_weight& gate = args.gate;
  const fathom_weight& up = args.up;
  FATHOM_CPU_TRY(check_one("gate", gate, -1, args.x.shape[1]));
  FATHOM_CPU_TRY(check_one("up", up, gate.n, gate.k));
  FATHOM_CPU_TRY(check_one("down", args.down, gate.k, gate.n));
  if (up.layout != gate.layout) {
    return unsupported("moe_experts: expected up in gate's layout {}, got {}", gate.layout,
                       up.layout);
  }
  if (up.dtype != gate.dtype || up.block_k != gate.block_k) {
    return unsupported("moe_experts: expected up of gate's type {} in groups of {}, got {}, {}",
                       gate.dtype, gate.block_k, up.dtype, up.block_k);
  }
  return FATHOM_OK;
}

bool has_scales(const fathom_weight& format) {
  return format.layout == FATHOM_LAYOUT_ROWS && is_scaled(format);
}

fathom_status check_places(const fathom_moe_experts_args& args) {
  const bool in_scales = has_scales(args.gate);
  const bool out_scales = has_scales(args.down);
  for (int64_t e = 0; e < args.num_experts; ++e) {
    const fathom_expert& expert = args.experts[e];
    if (expert.gate == nullptr || expert.up == nullptr || expert.down == nullptr) {
      return invalid("moe_experts: expected gate, up and down of expert {}, got NULL", e);
    }
    if ((in_scales && (expert.gate_scale == nullptr || expert.up_scale == nullptr)) ||
        (out_scales && expert.down_scale == nullptr)) {
      return invalid("moe_experts: expected the scales of expert {}, got NULL", e);
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
  FATHOM_CPU_TRY(check_formats(context, args));
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  FATHOM_CPU_TRY(check_pointer(context, "moe_experts", "experts", args.experts, true));
  return check_places(args);
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
  FATHOM_CPU_TRY(check_pointer(context, "moe_gate", "expert_weights", args.expert_weights, any));
  if (context.depth == CheckDepth::kShapes || args.rows == nullptr || *args.rows >= 0) {
    return FATHOM_OK;
  }
  return invalid("moe_gate: expected 0 rows or more, got {}", *args.rows);
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
