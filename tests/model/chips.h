// The chips that a model is tested on: the CPU, and its kernels behind memory that the host cannot
// touch. What comes out must not depend on it.
#pragma once

#include <memory>
#include <string>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "device/device.h"

namespace fathom {

inline constexpr const char* kCpu = "cpu";
inline constexpr const char* kCpuDiscrete = "cpu-discrete";
// Ranks of it exchange what the host copies.
inline constexpr const char* kWithoutCollectives = "cpu-discrete without collectives";

inline std::unique_ptr<device::Device> open_chip(const std::string& name,
                                                 device::DeviceOptions options = {}) {
  if (name == kWithoutCollectives) options.kernels += ",without=collectives";
  const auto entry = name == kCpu ? fathom_cpu_backend_entry : fathom_cpu_discrete_backend_entry;
  return device::Device::open(*entry(FATHOM_ABI_VERSION), options).value();
}

}  // namespace fathom
