// NVIDIA's GPUs, `--chip cuda` (docs/gpu.md).
#pragma once

#include <cuda_runtime_api.h>

#include "device/abi.h"

namespace fathom::cuda {

// A sentence for an operator, of why the runtime finds no device it can use.
fathom_status missing_driver(cudaError_t error);

}  // namespace fathom::cuda
