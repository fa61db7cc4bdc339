#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/mla/mla_prefill_parts.h"
#include "backends/gpu/kernels/workspace_cutter.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

// Of expanded keys and values, where one head takes no more.
constexpr int64_t kExpandedBytes = int64_t{256} << 20;

int heads_at_once(const fathom_mla_attention_args& args) {
  const auto& shape = args.shape;
  const int64_t a_head = args.sequences.max_blocks * args.cache.block_size *
                         (shape.nope_dim + shape.v_dim) * int64_t{sizeof(bf16)};
  const int64_t fit = a_head == 0 ? shape.num_heads : kExpandedBytes / a_head;
  return fit < 1 ? 1 : fit < shape.num_heads ? static_cast<int>(fit) : shape.num_heads;
}

PrefillCall prefill_call(const fathom_mla_attention_args& args, size_t& bytes) {
  const auto& shape = args.shape;
  PrefillCall call = {};
  call.shape = shape;
  call.q = rows_of<const bf16>(args.q);
  call.is_q_wide = are_rows_aligned(args.q, 2, kLoadBytes);
  call.cache = latent_cache_of<const bf16>(args.cache, shape);
  call.sequences = sequences_of(args.sequences);
  call.max_blocks = args.sequences.max_blocks;
  call.tiles = args.sequences.max_queries / kTileQueries + args.sequences.max_sequences;
  call.heads_at_once = heads_at_once(args);
  call.out = rows_of<bf16>(args.out);
  WorkspaceCutter cutter(args.workspace);
  call.entries = cutter.cut<int32_t>(call.max_blocks * 2);
  call.query_tiles = cutter.cut<int32_t>(int64_t{call.tiles} * 2);
  call.expanded = cutter.cut<bf16>(call.max_blocks * args.cache.block_size * call.heads_at_once *
                                   (shape.nope_dim + shape.v_dim));
  bytes = cutter.bytes();
  return call;
}

fathom_status supports_prefill(const void* bytes) {
  return takes_attention("mla_prefill", *static_cast<const fathom_mla_attention_args*>(bytes));
}

size_t prefill_workspace(const void* args) {
  size_t bytes = 0;
  prefill_call(*static_cast<const fathom_mla_attention_args*>(args), bytes);
  return bytes;
}

fathom_status queue_prefill(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_mla_attention_args*>(bytes);
  const auto& all = args.sequences;
  if (all.max_queries == 0 || all.max_sequences == 0 || all.max_blocks == 0) return FATHOM_OK;
  size_t needed = 0;
  const PrefillCall call = prefill_call(args, needed);
  if (args.workspace_bytes < needed) {
    return device::fail(FATHOM_INVALID, "mla_prefill: expected a workspace of " +
                                            std::to_string(needed) + " bytes, got " +
                                            std::to_string(args.workspace_bytes));
  }
  fathom_status status = queue_prefill_plan(queue, call);
  for (int head = 0; head < args.shape.num_heads && status == FATHOM_OK;
       head += call.heads_at_once) {
    const int left = args.shape.num_heads - head;
    const int heads = left < call.heads_at_once ? left : call.heads_at_once;
    status = queue_prefill_expand(queue, call, args.wkv_b, head, heads);
    if (status == FATHOM_OK) status = queue_prefill_attend(queue, call, head, heads);
  }
  return status;
}

}  // namespace

const Kernel kMlaPrefill = {supports_prefill, prefill_workspace, queue_prefill};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
