#pragma once

#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

GPU_DEVICE inline float silu(float v) {
  return v / (1.0f + exp(-v));
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
