// What the kernels of MLA take, and how they see the latent cache.
#pragma once

#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/product_args.h"
#include "backends/gpu/words.h"
#include "device/abi.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// What shared memory and sums in registers are laid out for: DeepSeek-V3's own.
constexpr int kMostLatent = 512;
constexpr int kMostNope = 128;
constexpr int kMostRope = 64;
constexpr int kMostValues = 128;

// Entries in one row or in two planes; a slot is block * block_size + row.
template <typename T>
struct LatentCache {
  Global<T> latents;
  Global<T> keys;  // rotated
  int64_t latent_stride;
  int64_t key_stride;
  int32_t block_size;

  GPU_DEVICE Global<T> latent(int64_t slot) const { return latents + slot * latent_stride; }
  GPU_DEVICE Global<T> key(int64_t slot) const { return keys + slot * key_stride; }
};

template <typename T>
LatentCache<T> latent_cache_of(const fathom_kv_cache& cache, const fathom_mla_shape& shape) {
  auto* data = static_cast<T*>(cache.data);
  const int64_t latent = shape.kv_lora_rank;
  const int64_t rope = shape.rope_dim;
  if (cache.rope != nullptr) {
    return {data, static_cast<T*>(cache.rope), latent, rope, cache.block_size};
  }
  return {data, data + latent, latent + rope, latent + rope, cache.block_size};
}

inline fathom_status takes_mla_shape(const char* op, const fathom_mla_shape& shape,
                                     const fathom_kv_cache& cache) {
  const auto is_in_tiles = [](int32_t size, int most) {
    return size > 0 && size <= most && size % 16 == 0;
  };
  if (!is_in_tiles(shape.kv_lora_rank, kMostLatent) || !is_in_tiles(shape.nope_dim, kMostNope) ||
      !is_in_tiles(shape.rope_dim, kMostRope) || !is_in_tiles(shape.v_dim, kMostValues)) {
    return not_taken(op,
                     "multiples of 16: kv_lora_rank to 512, nope_dim and v_dim to 128, rope_dim to "
                     "64");
  }
  return cache.dtype == FATHOM_BF16 ? FATHOM_OK : not_taken(op, "a cache in BF16");
}

inline fathom_status takes_attention(const char* op, const fathom_mla_attention_args& args) {
  const auto& shape = args.shape;
  const int64_t heads = shape.num_heads;
  if (!is_matrix(args.q, FATHOM_BF16, heads * (shape.nope_dim + shape.rope_dim)) ||
      !is_matrix(args.out, FATHOM_BF16, heads * shape.v_dim)) {
    return not_taken(op, "q and out in BF16");
  }
  if (const auto status = takes_mla_shape(op, shape, args.cache); status != FATHOM_OK) {
    return status;
  }
  return takes_weight(op, args.wkv_b);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
