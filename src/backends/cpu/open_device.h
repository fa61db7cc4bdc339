// How a device of the CPU is opened, wherever its memory is.
#pragma once

#include <fmt/format.h>

#include <exception>

#include "backends/cpu/host/placement.h"
#include "backends/cpu/kernels/kernel_set.h"
#include "device/abi.h"
#include "device/last_error.h"

namespace fathom::cpu {

struct OpenParts {
  const KernelSet* kernels = nullptr;
  int threads = 0;
};
// `chip` is whose device it is, for messages.
fathom_status read_options(const char* chip, const fathom_device_options* options,
                           OpenParts& parts);
Placement place(const fathom_device_options& options, int threads);

// As a `Device`, which is a fathom_device or more.
template <typename Device>
fathom_status open_device(const char* chip, const fathom_device_options* options,
                          fathom_device** device) {
  OpenParts parts;
  const fathom_status status = read_options(chip, options, parts);
  if (status != FATHOM_OK) return status;
  try {
    *device = new Device(*parts.kernels, parts.threads, place(*options, parts.threads));
  } catch (const std::exception& error) {
    return device::fail(FATHOM_NO_MEMORY,
                        fmt::format("open {}: expected room for {} threads, got: {}", chip,
                                    parts.threads, error.what()));
  }
  return FATHOM_OK;
}

}  // namespace fathom::cpu
