#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {
namespace {

fathom_sample_args sample_args(const Tensor& logits, const Sample& draws) {
  FATHOM_CHECK(logits.dtype == FATHOM_F32, "sample: expected f32 logits");
  fathom_sample_args args = {};
  args.size = sizeof(args);
  args.logits = logits;
  args.draws = draws.draws;
  args.num_draws = draws.num_draws;
  args.max_draws = draws.max_draws;
  args.masks = draws.masks;
  args.seen = draws.seen;
  args.biases = draws.biases;
  args.banned = draws.banned;
  return args;
}

}  // namespace

Status sample(Context& context, const Tensor& logits, const Sample& draws, int32_t* tokens) {
  auto args = sample_args(logits, draws);
  args.tokens = tokens;
  args.workspace = context.workspace;
  args.workspace_bytes = context.workspace_bytes;
  return context.device.run(FATHOM_OP_SAMPLE, &args);
}

bool can_sample(const device::Device& device, const Tensor& logits, int64_t max_draws) {
  const auto args = sample_args(logits, {.max_draws = max_draws});
  return device.supports(FATHOM_OP_SAMPLE, &args);
}

Result<size_t> sample_workspace_bytes(const device::Device& device, const Tensor& logits,
                                      int64_t max_draws) {
  if (!can_sample(device, logits, max_draws)) return size_t{0};
  const auto args = sample_args(logits, {.max_draws = max_draws});
  return device.workspace_bytes(FATHOM_OP_SAMPLE, &args);
}

}  // namespace fathom::ops
