#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {
namespace {

fathom_moe_experts_args experts_args(const Tensor& x, const int32_t* expert_ids,
                                     const float* expert_weights, int32_t top_k,
                                     const MoeExperts& experts, const Tensor& out) {
  expect_weight("moe_experts", "gate", experts.gate, experts.gate.n, x.shape[1]);
  expect_weight("moe_experts", "up", experts.up, experts.gate.n, x.shape[1]);
  expect_weight("moe_experts", "down", experts.down, x.shape[1], experts.gate.n);
  expect_matrix("moe_experts", "out", out, x.shape[0], x.shape[1]);
  fathom_moe_experts_args args = {};
  args.size = sizeof(args);
  args.x = x;
  args.expert_ids = expert_ids;
  args.expert_weights = expert_weights;
  args.top_k = top_k;
  args.first_expert = experts.first;
  args.num_experts = experts.count;
  args.experts = experts.table;
  args.gate = experts.gate;
  args.up = experts.up;
  args.down = experts.down;
  args.out = out;
  return args;
}

}  // namespace

Status moe_experts(Context& context, const Tensor& x, const int32_t* expert_ids,
                   const float* expert_weights, int32_t top_k, const MoeExperts& experts,
                   Accumulate accumulate, const Tensor& out) {
  auto args = experts_args(x, expert_ids, expert_weights, top_k, experts, out);
  args.accumulate = accumulate == Accumulate::kAdd ? 1 : 0;
  args.workspace = context.workspace;
  args.workspace_bytes = context.workspace_bytes;
  return context.device.run(FATHOM_OP_MOE_EXPERTS, &args);
}

Result<size_t> moe_experts_workspace_bytes(const device::Device& device, const Tensor& x,
                                           int32_t top_k, const MoeExperts& experts,
                                           const Tensor& out) {
  const auto args = experts_args(x, nullptr, nullptr, top_k, experts, out);
  return device.workspace_bytes(FATHOM_OP_MOE_EXPERTS, &args);
}

}  // namespace fathom::ops
