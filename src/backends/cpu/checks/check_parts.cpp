#include "backends/cpu/checks/check_parts.h"

#include "backends/cpu/packing/packing.h"

namespace fathom::cpu {

fathom_status check_size(const char* op, size_t got, size_t wanted) {
  if (got >= wanted) return FATHOM_OK;
  return invalid("{}: expected args.size {} or more, got {}", op, wanted, got);
}

fathom_status check_matrix(const CheckContext& context, const char* op, const char* name,
                           const fathom_tensor& tensor, int64_t rows, int64_t columns) {
  if (tensor.rank != 2 || tensor.shape[0] < 0 || tensor.shape[1] < 1) {
    return invalid("{}: expected {} to be a matrix, got rank {}, shape [{}, {}]", op, name,
                   tensor.rank, tensor.shape[0], tensor.shape[1]);
  }
  if ((rows >= 0 && tensor.shape[0] != rows) || (columns >= 0 && tensor.shape[1] != columns)) {
    return invalid("{}: expected {} [{}, {}], got [{}, {}]", op, name,
                   rows >= 0 ? rows : tensor.shape[0], columns >= 0 ? columns : tensor.shape[1],
                   tensor.shape[0], tensor.shape[1]);
  }
  if (tensor.stride[1] != 1 || (tensor.shape[0] > 1 && tensor.stride[0] < tensor.shape[1])) {
    return invalid("{}: expected {} dense in its rows, got strides [{}, {}] for shape [{}, {}]", op,
                   name, tensor.stride[0], tensor.stride[1], tensor.shape[0], tensor.shape[1]);
  }
  if (tensor.dtype != FATHOM_F32) {
    return unsupported("{}: expected {} in F32, got type {}", op, name, tensor.dtype);
  }
  return check_pointer(context, op, name, tensor.data, tensor.shape[0] > 0);
}

bool is_scaled(const fathom_weight& weight) {
  return weight.dtype != FATHOM_F32 && weight.dtype != FATHOM_BF16;
}

fathom_status check_format(const char* op, const char* name, const fathom_weight& weight) {
  if (!is_scaled(weight)) return FATHOM_OK;
  if (weight.dtype != FATHOM_F8_E4M3 && weight.dtype != FATHOM_I8 && weight.dtype != FATHOM_I4) {
    return unsupported("{}: expected {} in F32, BF16, F8_E4M3, I8 or I4, got type {}", op, name,
                       weight.dtype);
  }
  if (weight.block_n < 1 || weight.block_k < 1) {
    return invalid("{}: expected {} with scale blocks of 1x1 or more, got {}x{}", op, name,
                   weight.block_n, weight.block_k);
  }
  if (weight.dtype != FATHOM_F8_E4M3 && weight.block_n != 1) {
    return invalid("{}: expected {} in integers with block_n 1, got {}", op, name, weight.block_n);
  }
  if (weight.dtype == FATHOM_I4 && (weight.k % 2 != 0 || weight.block_k % 32 != 0)) {
    return invalid("{}: expected {} in I4 with an even k and block_k a multiple of 32, got {}, {}",
                   op, name, weight.k, weight.block_k);
  }
  return FATHOM_OK;
}

fathom_status check_weight(const CheckContext& context, const char* op, const char* name,
                           const fathom_weight& weight, int64_t n, int64_t k, Layouts layouts) {
  if (weight.n < 1 || weight.k < 1 || (n >= 0 && weight.n != n) || (k >= 0 && weight.k != k)) {
    return invalid("{}: expected {} [{}, {}], got [{}, {}]", op, name, n >= 0 ? n : weight.n,
                   k >= 0 ? k : weight.k, weight.n, weight.k);
  }
  FATHOM_CPU_TRY(check_format(op, name, weight));
  FATHOM_CPU_TRY(check_pointer(context, op, name, weight.data, true));
  if (weight.layout == FATHOM_LAYOUT_ROWS) {
    return check_pointer(context, op, "a weight's scale", weight.scale, is_scaled(weight));
  }
  if (layouts == Layouts::kRows || !context.kernels.reads_packed) {
    return unsupported("{}: expected {} in rows, got layout {}", op, name, weight.layout);
  }
  if (weight.layout != kLayoutPacked || !can_pack(weight)) {
    return unsupported("{}: expected {} as pack() made it, got layout {}", op, name, weight.layout);
  }
  return FATHOM_OK;
}

fathom_status check_pointer(const CheckContext& context, const char* op, const char* name,
                            const void* data, bool needed) {
  if (context.depth == CheckDepth::kShapes || !needed || data != nullptr) return FATHOM_OK;
  return invalid("{}: expected {}, got NULL", op, name);
}

fathom_status check_cache(const CheckContext& context, const char* op, const fathom_kv_cache& cache,
                          bool needed) {
  if (cache.dtype != FATHOM_F32 && cache.dtype != FATHOM_BF16) {
    return unsupported("{}: expected the cache in F32 or BF16, got type {}", op, cache.dtype);
  }
  if (cache.block_size < 1 || cache.num_blocks < 0) {
    return invalid("{}: expected blocks of 1 row or more, got {} blocks of {}", op,
                   cache.num_blocks, cache.block_size);
  }
  return check_pointer(context, op, "the cache", cache.data, needed);
}

fathom_status check_mla_shape(const char* op, const fathom_mla_shape& shape) {
  if (shape.num_heads < 1 || shape.kv_lora_rank < 1 || shape.nope_dim < 1 || shape.v_dim < 1) {
    return invalid(
        "{}: expected num_heads, kv_lora_rank, nope_dim and v_dim of 1 or more, got {}, {}, {}, {}",
        op, shape.num_heads, shape.kv_lora_rank, shape.nope_dim, shape.v_dim);
  }
  if (shape.rope_dim < 0 || shape.rope_dim % 2 != 0) {
    return invalid("{}: expected an even rope_dim, got {}", op, shape.rope_dim);
  }
  // A cache entry is put together in a thread's scratch; released models have 576 values in one.
  constexpr int64_t kMostValues = ThreadPool::kScratchBytes / sizeof(float);
  if (int64_t{shape.kv_lora_rank} + shape.rope_dim > kMostValues) {
    return unsupported("{}: expected kv_lora_rank + rope_dim of {} or less, got {} + {}", op,
                       kMostValues, shape.kv_lora_rank, shape.rope_dim);
  }
  return FATHOM_OK;
}

fathom_status check_workspace(const CheckContext& context, const char* op, const void* workspace,
                              size_t got, size_t wanted) {
  if (context.depth == CheckDepth::kShapes) return FATHOM_OK;
  if (got < wanted) return invalid("{}: expected {} bytes of workspace, got {}", op, wanted, got);
  return check_pointer(context, op, "workspace", workspace, wanted > 0);
}

}  // namespace fathom::cpu
