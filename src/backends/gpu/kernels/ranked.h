// Floats as integers that are in order, and ranks: the order of values, then of indices.
#pragma once

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// A greater number has a greater one; 0 is NaN's alone. -0 is 0.
GPU_DEVICE inline uint32_t order_of(float v) {
  if (v != v) return 0;
  const uint32_t bits = bits_of(v + 0.0f);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

// A greater one comes first: of a greater value, or of an equal one with a lower index. Never 0.
GPU_DEVICE inline uint64_t rank_of(float v, int index) {
  return static_cast<uint64_t>(order_of(v)) << 32 | (0xffffffffu - static_cast<uint32_t>(index));
}

GPU_DEVICE inline int index_of_rank(uint64_t rank) {
  return static_cast<int>(0xffffffffu - static_cast<uint32_t>(rank));
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
