#include <algorithm>

#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {
namespace {

fathom_moe_exchange_args exchange_args(const MoeExchange& exchange, const Tensor& x) {
  expect_matrix("moe_exchange", "out", exchange.out, exchange.out.shape[0], x.shape[1]);
  fathom_moe_exchange_args args = {};
  args.size = sizeof(args);
  args.comm = exchange.comm;
  args.experts_a_rank = exchange.experts_a_rank;
  args.top_k = exchange.top_k;
  args.max_rows = exchange.max_rows;
  args.rows = exchange.rows;
  args.x = x;
  args.expert_ids = exchange.expert_ids;
  args.expert_weights = exchange.expert_weights;
  args.out = exchange.out;
  args.out_ids = exchange.out_ids;
  args.out_weights = exchange.out_weights;
  args.counts = exchange.counts;
  return args;
}

Status run_exchange(Context& context, fathom_op op, fathom_moe_exchange_args& args) {
  args.workspace = context.workspace;
  args.workspace_bytes = context.workspace_bytes;
  return context.device.run(op, &args);
}

}  // namespace

Status moe_dispatch(Context& context, const MoeExchange& exchange, const Tensor& x) {
  auto args = exchange_args(exchange, x);
  return run_exchange(context, FATHOM_OP_MOE_DISPATCH, args);
}

Status moe_combine(Context& context, const MoeExchange& exchange, Accumulate accumulate,
                   const Tensor& x) {
  auto args = exchange_args(exchange, x);
  args.accumulate = accumulate == Accumulate::kAdd ? 1 : 0;
  return run_exchange(context, FATHOM_OP_MOE_COMBINE, args);
}

bool can_exchange_rows(const device::Device& device, const MoeExchange& exchange, const Tensor& x) {
  const auto args = exchange_args(exchange, x);
  return device.supports(FATHOM_OP_MOE_DISPATCH, &args) &&
         device.supports(FATHOM_OP_MOE_COMBINE, &args);
}

Result<size_t> moe_exchange_workspace_bytes(const device::Device& device,
                                            const MoeExchange& exchange, const Tensor& x) {
  if (!can_exchange_rows(device, exchange, x)) return size_t{0};
  const auto args = exchange_args(exchange, x);
  FATHOM_ASSIGN(const size_t dispatch, device.workspace_bytes(FATHOM_OP_MOE_DISPATCH, &args));
  FATHOM_ASSIGN(const size_t combine, device.workspace_bytes(FATHOM_OP_MOE_COMBINE, &args));
  return std::max(dispatch, combine);
}

}  // namespace fathom::ops
