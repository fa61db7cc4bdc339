// The kernels of src/backends/gpu, compiled once for each width of a warp.
#pragma once

#include "backends/gpu/kernel_set.h"

namespace fathom::emulated {

// NULL where there is none of that width.
const gpu::KernelSet* kernel_set(int warp);
// "32, 64 or 128"
inline constexpr char kWarps[] = "32, 64 or 128";

}  // namespace fathom::emulated
