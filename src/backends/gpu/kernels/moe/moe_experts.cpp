#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/moe/moe_experts_parts.h"
#include "backends/gpu/kernels/workspace_cutter.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

// Wide tiles pay where experts have more tokens than a narrow one holds.
constexpr int kNarrowTokens = 16;
constexpr int kWideTokens = 64;

int tile_tokens(const fathom_moe_experts_args& args) {
  const int64_t pairs = args.x.shape[0] * args.top_k;
  return pairs > kNarrowTokens * args.num_experts ? kWideTokens : kNarrowTokens;
}

ExpertsCall experts_call(const fathom_moe_experts_args& args, size_t& bytes) {
  ExpertsCall call = {};
  call.x = rows_of<const bf16>(args.x);
  call.pairs = args.x.shape[0] * args.top_k;
  call.ids = args.expert_ids;
  call.weights = args.expert_weights;
  call.top_k = args.top_k;
  call.accumulates = args.accumulate != 0;
  call.first_expert = args.first_expert;
  call.num_experts = static_cast<int>(args.num_experts);
  call.experts = reinterpret_cast<const uint64_t*>(args.experts);
  call.gate = shape_of(args.gate);
  call.down = shape_of(args.down);
  call.out = rows_of<bf16>(args.out);
  call.tile_tokens = tile_tokens(args);
  // Each expert's last tile may be short; no tile is empty.
  const int64_t by_experts = call.pairs / call.tile_tokens + args.num_experts;
  call.most_tiles = by_experts < call.pairs ? by_experts : call.pairs;
  WorkspaceCutter cutter(args.workspace);
  call.counts = cutter.cut<int32_t>(call.num_experts);
  call.sorted = cutter.cut<int32_t>(call.pairs);
  call.tiles = cutter.cut<int32_t>(call.most_tiles * kTileNumbers);
  call.hidden = cutter.cut<bf16>(call.pairs * call.gate.n);
  call.results = cutter.cut<bf16>(call.pairs * call.down.n);
  bytes = cutter.bytes();
  return call;
}

fathom_status supports_experts(const void* bytes) {
  const auto& args = *static_cast<const fathom_moe_experts_args*>(bytes);
  const int64_t columns = args.x.shape[1];
  if (!is_matrix(args.x, FATHOM_BF16, columns) || !is_matrix(args.out, FATHOM_BF16, columns)) {
    return not_taken("moe_experts", "x and out in BF16");
  }
  if (args.num_experts == 0) return FATHOM_OK;
  for (const fathom_weight* weight : {&args.gate, &args.up, &args.down}) {
    const auto status = takes_weight("moe_experts", *weight);
    if (status != FATHOM_OK) return status;
  }
  const bool is_one_format =
      args.up.dtype == args.gate.dtype && args.down.dtype == args.gate.dtype &&
      args.up.block_n == args.gate.block_n && args.up.block_k == args.gate.block_k;
  return is_one_format ? FATHOM_OK : not_taken("moe_experts", "weights of one format");
}

size_t experts_workspace(const void* args) {
  size_t bytes = 0;
  experts_call(*static_cast<const fathom_moe_experts_args*>(args), bytes);
  return bytes;
}

// The addresses of experts are not known here, but the contract aligns each.
bool is_wide(const fathom_weight& weight) {
  return weight.k * element_bytes(weight) % kLoadBytes == 0;
}

fathom_status queue_experts(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_moe_experts_args*>(bytes);
  if (args.x.shape[0] == 0) return FATHOM_OK;
  size_t needed = 0;
  const ExpertsCall call = experts_call(args, needed);
  if (args.workspace_bytes < needed) {
    return device::fail(FATHOM_INVALID, "moe_experts: expected a workspace of " +
                                            std::to_string(needed) + " bytes, got " +
                                            std::to_string(args.workspace_bytes));
  }
  const ExpertDepths depths = {
      {args.gate.k, args.gate.block_k, is_wide(args.gate),
       args.gate.k * 2 % kLoadBytes == 0 && are_rows_aligned(args.x, 2, kLoadBytes)},
      {args.down.k, args.down.block_k, is_wide(args.down), args.down.k * 2 % kLoadBytes == 0}};
  fathom_status status = FATHOM_OK;
  if (call.num_experts > 0 && call.pairs > 0) {
    status = queue_expert_sort(queue, call);
    if (status == FATHOM_OK) status = queue_expert_products(queue, call, depths, args.gate);
  }
  if (status == FATHOM_OK) {
    status = queue_expert_combine(queue, call, args.x.shape[0], args.x.shape[1]);
  }
  return status;
}

}  // namespace

const Kernel kMoeExperts = {supports_experts, experts_workspace, queue_experts};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
