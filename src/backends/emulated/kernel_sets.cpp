#include "backends/emulated/kernel_sets.h"

namespace fathom::gpu {
namespace emulated_32 {
const KernelSet& kernel_set();
}
namespace emulated_64 {
const KernelSet& kernel_set();
}
namespace emulated_128 {
const KernelSet& kernel_set();
}
}  // namespace fathom::gpu

namespace fathom::emulated {

const gpu::KernelSet* kernel_set(int warp) {
  switch (warp) {
    case 32:
      return &gpu::emulated_32::kernel_set();
    case 64:
      return &gpu::emulated_64::kernel_set();
    case 128:
      return &gpu::emulated_128::kernel_set();
    default:
      return nullptr;
  }
}

}  // namespace fathom::emulated
