// Checks of sample and take_tokens.
#include "backends/cpu/checks/check_args.h"
#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/kernels/sample.h"

namespace fathom::cpu {
namespace {

int32_t token_of(int32_t token) {
  return token;
}
template <typename Entry>
int32_t token_of(const Entry& entry) {
  return entry.token;
}

template <typename Entry>
fathom_status check_list(const fathom_sample_args& args, int64_t draw, const char* name,
                         const Entry* entries, int32_t begin, int32_t count) {
  if (begin < 0 || count < 0) {
    return invalid("sample: expected {} of draw {} from 0 on, got {} from {} on", name, draw, count,
                   begin);
  }
  if (count > 0 && entries == nullptr) return invalid("sample: expected {}, got NULL", name);
  for (int32_t i = 0; i < count; ++i) {
    const int32_t token = token_of(entries[begin + i]);
    if (token >= 0 && token < args.logits.shape[1]) continue;
    return invalid("sample: expected {} of draw {} in [0, {}), got {}", name, draw,
                   args.logits.shape[1], token);
  }
  return FATHOM_OK;
}

fathom_status check_draw(const fathom_sample_args& args, int64_t i) {
  const fathom_draw& draw = args.draws[i];
  if (draw.logit_row < 0 || draw.logit_row >= args.logits.shape[0]) {
    return invalid("sample: expected the row of draw {} in [0, {}), got {}", i,
                   args.logits.shape[0], draw.logit_row);
  }
  if (draw.mask < -1 || draw.mask >= args.max_draws) {
    return invalid("sample: expected the mask of draw {} in [-1, {}), got {}", i, args.max_draws,
                   draw.mask);
  }
  if (draw.mask >= 0 && args.masks == nullptr) return invalid("sample: expected masks, got NULL");
  FATHOM_CPU_TRY(check_list(args, i, "tokens seen", args.seen, draw.seen_begin, draw.seen_count));
  FATHOM_CPU_TRY(check_list(args, i, "biases", args.biases, draw.bias_begin, draw.bias_count));
  return check_list(args, i, "tokens banned", args.banned, draw.banned_begin, draw.banned_count);
}

}  // namespace

fathom_status check(const CheckContext& context, const fathom_sample_args& args) {
  FATHOM_CPU_TRY(check_size("sample", args.size, sizeof(args)));
  FATHOM_CPU_TRY(check_matrix(context, "sample", "logits", args.logits, -1, -1));
  if (args.max_draws < 0) {
    return invalid("sample: expected max_draws of 0 or more, got {}", args.max_draws);
  }
  FATHOM_CPU_TRY(check_workspace(context, "sample", args.workspace, args.workspace_bytes,
                                 sample_workspace(context.threads, args)));
  FATHOM_CPU_TRY(check_pointer(context, "sample", "num_draws", args.num_draws, true));
  FATHOM_CPU_TRY(check_pointer(context, "sample", "draws", args.draws, args.max_draws > 0));
  FATHOM_CPU_TRY(check_pointer(context, "sample", "tokens", args.tokens, args.max_draws > 0));
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  if (*args.num_draws < 0 || *args.num_draws > args.max_draws) {
    return invalid("sample: expected 0 to {} draws, got {}", args.max_draws, *args.num_draws);
  }
  for (int32_t i = 0; i < *args.num_draws; ++i) FATHOM_CPU_TRY(check_draw(args, i));
  return FATHOM_OK;
}

fathom_status check(const CheckContext& context, const fathom_take_tokens_args& args) {
  FATHOM_CPU_TRY(check_size("take_tokens", args.size, sizeof(args)));
  if (args.num_tokens < 0 || args.max_drawn < 0) {
    return invalid("take_tokens: expected num_tokens and max_drawn of 0 or more, got {}, {}",
                   args.num_tokens, args.max_drawn);
  }
  FATHOM_CPU_TRY(check_pointer(context, "take_tokens", "tokens", args.tokens, args.num_tokens > 0));
  FATHOM_CPU_TRY(check_pointer(context, "take_tokens", "drawn", args.drawn, args.max_drawn > 0));
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  for (int64_t i = 0; i < args.num_tokens; ++i) {
    if (args.tokens[i] >= -1 || -2 - int64_t{args.tokens[i]} < args.max_drawn) continue;
    return invalid("take_tokens: expected tokens[{}] of -1 - {} or more, got {}", i, args.max_drawn,
                   args.tokens[i]);
  }
  return FATHOM_OK;
}

}  // namespace fathom::cpu
