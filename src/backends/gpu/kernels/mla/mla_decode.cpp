#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/mla/mla_decode_parts.h"
#include "backends/gpu/kernels/workspace_cutter.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

DecodeCall decode_call(const fathom_mla_attention_args& args, size_t& bytes) {
  const auto& shape = args.shape;
  const int64_t queries = args.sequences.max_queries;
  const int64_t heads = queries * shape.num_heads;
  const int64_t latent = shape.kv_lora_rank;
  DecodeCall call = {};
  call.shape = shape;
  call.q = rows_of<const bf16>(args.q);
  call.cache = latent_cache_of<const bf16>(args.cache, shape);
  call.sequences = sequences_of(args.sequences);
  call.max_queries = args.sequences.max_queries;
  call.most_segments = most_segments(args);
  call.out = rows_of<bf16>(args.out);
  WorkspaceCutter cutter(args.workspace);
  call.queries = cutter.cut<int32_t>(queries * kQueryNumbers);
  call.absorbed = cutter.cut<bf16>(heads * (latent + shape.rope_dim));
  call.segment_sums = cutter.cut<float>(heads * call.most_segments * 2);
  call.segment_out = cutter.cut<float>(heads * call.most_segments * latent);
  call.latent_out = cutter.cut<bf16>(heads * latent);
  bytes = cutter.bytes();
  return call;
}

fathom_status supports_decode(const void* bytes) {
  return takes_attention("mla_decode", *static_cast<const fathom_mla_attention_args*>(bytes));
}

size_t decode_workspace(const void* args) {
  size_t bytes = 0;
  decode_call(*static_cast<const fathom_mla_attention_args*>(args), bytes);
  return bytes;
}

fathom_status queue_decode(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_mla_attention_args*>(bytes);
  if (args.sequences.max_queries == 0 || args.sequences.max_sequences == 0) return FATHOM_OK;
  size_t needed = 0;
  const DecodeCall call = decode_call(args, needed);
  if (args.workspace_bytes < needed) {
    return device::fail(FATHOM_INVALID, "mla_decode: expected a workspace of " +
                                            std::to_string(needed) + " bytes, got " +
                                            std::to_string(args.workspace_bytes));
  }
  fathom_status status = queue_decode_plan(queue, call);
  if (status == FATHOM_OK) status = queue_decode_absorb(queue, call, args.wkv_b);
  if (status == FATHOM_OK) status = queue_decode_segments(queue, call);
  if (status == FATHOM_OK) status = queue_decode_combine(queue, call);
  if (status == FATHOM_OK) status = queue_decode_values(queue, call, args.wkv_b);
  return status;
}

}  // namespace

const Kernel kMlaDecode = {supports_decode, decode_workspace, queue_decode};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
