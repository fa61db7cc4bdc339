// Checks of the operators that work on each row alone.
#include "backends/cpu/checks/check_args.h"
#include "backends/cpu/checks/check_parts.h"

namespace fathom::cpu {

fathom_status check(const CheckContext& context, const fathom_embed_args& args) {
  FATHOM_CPU_TRY(check_size("embed", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_weight(context, "embed", "table", args.table, -1, -1));
  FATHOM_CPU_TRY(check_matrix(context, "embed", "out", args.out, args.num_tokens, args.table.k));
  FATHOM_CPU_TRY(check_pointer(context, "embed", "tokens", args.tokens, args.num_tokens > 0));
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  for (int64_t t = 0; t < args.num_tokens; ++t) {
    if (args.tokens[t] < -1 || args.tokens[t] >= args.table.n) {
      return invalid("embed: expected tokens[{}] in [-1, {}), got {}", t, args.table.n,
                     args.tokens[t]);
    }
  }
  return FATHOM_OK;
}

fathom_status check(const CheckContext& context, const fathom_rms_norm_args& args) {
  FATHOM_CPU_TRY(check_size("rms_norm", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "rms_norm", "x", args.x, -1, -1));
  const int64_t rows = args.x.shape[0];
  const int64_t columns = args.x.shape[1];
  if (args.residual.data != nullptr) {
    FATHOM_CPU_TRY(check_matrix(context, "rms_norm", "residual", args.residual, rows, columns));
  }
  FATHOM_CPU_TRY(check_pointer(context, "rms_norm", "weight", args.weight, rows > 0));
  return check_matrix(context, "rms_norm", "out", args.out, rows, columns);
}

fathom_status check(const CheckContext& context, const fathom_linear_args& args) {
  FATHOM_CPU_TRY(check_size("linear", args.size, sizeof(args)));
  FATHOM_CPU_TRY(
      check_weight(context, "linear", "weight", args.weight, -1, -1, Layouts::kRowsOrPacked));
  FATHOM_CPU_TRY(check_matrix(context, "linear", "x", args.x, -1, args.weight.k));
  return check_matrix(context, "linear", "out", args.out, args.x.shape[0], args.weight.n);
}

fathom_status check(const CheckContext& context, const fathom_silu_mul_args& args) {
  FATHOM_CPU_TRY(check_size("silu_mul", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "silu_mul", "gate", args.gate, -1, -1));
  const auto& shape = args.gate.shape;
  FATHOM_CPU_TRY(check_matrix(context, "silu_mul", "up", args.up, shape[0], shape[1]));
  return check_matrix(context, "silu_mul", "out", args.out, shape[0], shape[1]);
}

fathom_status check(const CheckContext& context, const fathom_add_args& args) {
  FATHOM_CPU_TRY(check_size("add", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "add", "x", args.x, -1, -1));
  return check_matrix(context, "add", "y", args.y, args.x.shape[0], args.x.shape[1]);
}

fathom_status check(const CheckContext& context, const fathom_logits_stats_args& args) {
  FATHOM_CPU_TRY(check_size("logits_stats", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "logits_stats", "logits", args.logits, -1, -1));
  const bool any = args.logits.shape[0] > 0;
  FATHOM_CPU_TRY(check_pointer(context, "logits_stats", "max_value", args.max_value, any));
  FATHOM_CPU_TRY(check_pointer(context, "logits_stats", "max_index", args.max_index, any));
  return check_pointer(context, "logits_stats", "log_sum_exp", args.log_sum_exp, any);
}

}  // namespace fathom::cpu
