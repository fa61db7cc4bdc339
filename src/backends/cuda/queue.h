// What launches of the CUDA dialect call.
#pragma once

#include <cstdint>

#include "backends/gpu/kernel_set.h"

namespace fathom::cuda {

struct Launch {
  const char* name;
  const void* kernel;
  int64_t grid_x;
  int grid_y, grid_z;
  int threads;
  int shared_bytes;
};
// Queues a kernel. `arguments` point to each of its arguments, which are copied.
fathom_status launch(gpu::Queue& queue, const Launch& what, void** arguments);

}  // namespace fathom::cuda
