#include "backends/cuda/cuda_backend.h"

#include <fmt/format.h>

#include <cstring>
#include <memory>

#include "backends/cuda/chip.h"
#include "backends/gpu/host/backend_table.h"
#include "device/last_error.h"

namespace fathom::cuda {
namespace {

constexpr int kLeastCapability = 8;  // BF16 in matrix units, asynchronous copies

class CudaDriver : public gpu::Driver {
 public:
  const char* name() const override { return "cuda"; }
  const char* version() const override { return "1"; }

  fathom_status count(int32_t& count) override {
    int found = 0;
    const auto error = cudaGetDeviceCount(&found);
    count = error == cudaSuccess ? found : 0;
    return error == cudaSuccess ? FATHOM_OK : missing_driver(error);
  }

  fathom_status open(const fathom_device_options& options,
                     std::unique_ptr<gpu::Chip>& chip) override {
    if (options.kernels != nullptr && std::strcmp(options.kernels, "gpu") != 0) {
      return device::fail(
          FATHOM_INVALID,
          fmt::format("open cuda: expected kernels to be gpu, got {}", options.kernels));
    }
    int capability = 0;
    const auto error =
        cudaDeviceGetAttribute(&capability, cudaDevAttrComputeCapabilityMajor, options.index);
    if (error != cudaSuccess) return missing_driver(error);
    if (capability < kLeastCapability) {
      return device::fail(FATHOM_UNSUPPORTED,
                          fmt::format("cuda: expected compute capability {}.0 or newer, device {} "
                                      "has {}",
                                      kLeastCapability, options.index, capability));
    }
    chip = std::make_unique<CudaChip>(options.index);
    return FATHOM_OK;
  }
};

}  // namespace
}  // namespace fathom::cuda

extern "C" __attribute__((visibility("default"))) const fathom_backend* fathom_backend_entry(
    uint32_t host_abi_version) {
  static fathom::cuda::CudaDriver driver;
  return fathom::gpu::backend_table(driver, host_abi_version);
}
