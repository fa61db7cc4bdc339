// Which weights the product of tiles takes. Host code.
#pragma once

#include "backends/gpu/kernels/dense_args.h"

namespace fathom::gpu {

// Of k that one step multiplies; a scale is of whole steps.
inline constexpr int kProductStep = 64;

inline fathom_status takes_weight(const char* op, const fathom_weight& weight) {
  if (weight.layout != FATHOM_LAYOUT_ROWS) return not_taken(op, "a weight in rows");
  if (weight.dtype == FATHOM_BF16) return FATHOM_OK;
  if (weight.dtype != FATHOM_F8_E4M3 && weight.dtype != FATHOM_I8) {
    return not_taken(op, "a weight in BF16, E4M3 or I8");
  }
  const bool is_in_steps = weight.block_k >= weight.k || weight.block_k % kProductStep == 0;
  return weight.block_n > 0 && weight.block_k > 0 && is_in_steps
             ? FATHOM_OK
             : not_taken(op, "scales of blocks whose columns are a multiple of 64");
}

inline int element_bytes(const fathom_weight& weight) {
  return weight.dtype == FATHOM_BF16 ? 2 : 1;
}

// Whether each of its rows begins at a multiple of `bytes` where its data does.
inline bool are_rows_aligned(const fathom_weight& weight, int bytes) {
  return reinterpret_cast<uintptr_t>(weight.data) % static_cast<uintptr_t>(bytes) == 0 &&
         weight.k * element_bytes(weight) % bytes == 0;
}

}  // namespace fathom::gpu
