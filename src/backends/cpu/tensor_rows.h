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

}  // namespace fathom::cpu
