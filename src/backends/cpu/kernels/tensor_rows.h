// Rows of tensors and of the paged cache.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

static inline float* row_of(const fathom_tensor& tensor, int64_t row) {
  return static_cast<float*>(tensor.data) + row * tensor.stride[0];
}

// The block numbers of one of the sequences.
static inline const int32_t* block_table(const fathom_sequences& sequences,
                                         const fathom_sequence& one) {
  return sequences.blocks + one.block_begin;
}

// Index of the cache row that holds a position of the sequence with this block table.
static inline int64_t cache_row(const int32_t* block_table, int32_t block_size, int64_t position) {
  return int64_t{block_table[position / block_size]} * block_size + position % block_size;
}

// What lies together of a cache's entries: numbers [column, column + width) of each, a row an
// entry.
struct CachePart {
  void* data;
  int64_t column;
  int64_t width;
};

// Entries in one row are one part, in two planes they are two.
struct CacheParts {
  CachePart parts[2];
  int32_t count;
};

static inline CacheParts cache_parts(const fathom_kv_cache& cache, const fathom_mla_shape& shape) {
  const int64_t latent = shape.kv_lora_rank;
  const int64_t rope = shape.rope_dim;
  if (cache.rope == nullptr) return {{{cache.data, 0, latent + rope}}, 1};
  return {{{cache.data, 0, latent}, {cache.rope, latent, rope}}, 2};
}

}  // namespace fathom::cpu
