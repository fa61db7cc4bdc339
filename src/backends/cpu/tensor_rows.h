// Rows of tensors and of the paged cache.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

static inline float* row_of(const fathom_tensor& tensor, int64_t row) {
  return static_cast<float*>(tensor.data) + row * tensor.stride[0];
}

// Index of the cache row that holds a sequence's position.
static inline int64_t cache_row(const fathom_sequence& sequence, int32_t block_size,
                                int64_t position) {
  return int64_t{sequence.block_table[position / block_size]} * block_size + position % block_size;
}

}  // namespace fathom::cpu
