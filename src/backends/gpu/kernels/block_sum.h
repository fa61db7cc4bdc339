// The sum over a block, in an order that its number of threads and the width of a warp fix.
#pragma once

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// To all threads. `scratch` has one place a warp, which nobody else uses until the next barrier of
// the block behind this.
template <typename T>
GPU_DEVICE T block_sum(T value, Shared<T> scratch) {
  value = warp_sum(value);
  if (lane() == 0) store(scratch, warp(), value);
  block_barrier();
  T sum = load(scratch, 0);
  for (int i = 1; i < warps(); ++i) sum += load(scratch, i);
  return sum;
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
