// mla_prepare, mla_prefill, mla_decode.
#include <algorithm>

#include "ops/ops.h"
#include "ops/shapes.h"

namespace fathom::ops {
namespace {

int64_t q_columns(const fathom_mla_shape& shape) {
  return int64_t{shape.num_heads} * (shape.nope_dim + shape.rope_dim);
}

fathom_mla_attention_args attention_args(const fathom_mla_shape& shape, const Tensor& q,
                                         const Weight& wkv_b, const fathom_kv_cache& cache,
                                         const fathom_sequences& sequences, const Tensor& out) {
  expect_matrix("mla", "q", q, q.shape[0], q_columns(shape));
  expect_weight("mla", "wkv_b", wkv_b, int64_t{shape.num_heads} * (shape.nope_dim + shape.v_dim),
                shape.kv_lora_rank);
  expect_matrix("mla", "out", out, q.shape[0], int64_t{shape.num_heads} * shape.v_dim);
  FATHOM_CHECK(sequences.max_queries <= q.shape[0], "mla: expected queries among the rows of q");
  fathom_mla_attention_args args = {};
  args.size = sizeof(args);
  args.shape = shape;
  args.q = q;
  args.wkv_b = wkv_b;
  args.cache = cache;
  args.sequences = sequences;
  args.out = out;
  return args;
}

Status attend(fathom_op op, Context& context, fathom_mla_attention_args args) {
  if (args.sequences.max_sequences == 0) return {};
  args.workspace = context.workspace;
  args.workspace_bytes = context.workspace_bytes;
  return context.device.run(op, &args);
}

}  // namespace

Status mla_prepare(Context& context, const fathom_mla_shape& shape, const MlaPrepare& in,
                   const fathom_kv_cache& cache) {
  expect_matrix("mla_prepare", "q", in.q, in.q.shape[0], q_columns(shape));
  expect_matrix("mla_prepare", "kv_a", in.kv_a, in.q.shape[0],
                int64_t{shape.kv_lora_rank} + shape.rope_dim);
  const fathom_mla_prepare_args args = {
      sizeof(args),     shape,      in.q,         in.kv_a,  in.kv_norm, in.eps,
      in.max_positions, in.cos_sin, in.positions, in.slots, cache};
  return context.device.run(FATHOM_OP_MLA_PREPARE, &args);
}

Status mla_prefill(Context& context, const fathom_mla_shape& shape, const Tensor& q,
                   const Weight& wkv_b, const fathom_kv_cache& cache,
                   const fathom_sequences& sequences, const Tensor& out) {
  return attend(FATHOM_OP_MLA_PREFILL, context,
                attention_args(shape, q, wkv_b, cache, sequences, out));
}

Status mla_decode(Context& context, const fathom_mla_shape& shape, const Tensor& q,
                  const Weight& wkv_b, const fathom_kv_cache& cache,
                  const fathom_sequences& sequences, const Tensor& out) {
  const auto op =
      context.device.has(FATHOM_OP_MLA_DECODE) ? FATHOM_OP_MLA_DECODE : FATHOM_OP_MLA_PREFILL;
  return attend(op, context, attention_args(shape, q, wkv_b, cache, sequences, out));
}

Result<size_t> mla_workspace_bytes(const device::Device& device, const fathom_mla_shape& shape,
                                   const Tensor& q, const Weight& wkv_b,
                                   const fathom_kv_cache& cache, const fathom_sequences& sequences,
                                   const Tensor& out) {
  const auto args = attention_args(shape, q, wkv_b, cache, sequences, out);
  FATHOM_ASSIGN(size_t bytes, device.workspace_bytes(FATHOM_OP_MLA_PREFILL, &args));
  if (!device.has(FATHOM_OP_MLA_DECODE)) return bytes;
  FATHOM_ASSIGN(const size_t absorbed, device.workspace_bytes(FATHOM_OP_MLA_DECODE, &args));
  return std::max(bytes, absorbed);
}

}  // namespace fathom::ops
