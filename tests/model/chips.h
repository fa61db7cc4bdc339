// The chips that a model is tested on: the CPU, and its kernels behind memory that the host cannot
// touch. What comes out must not depend on it.
#pragma once

#include <cctype>
#include <cstdlib>
#include <fstream>
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
// Its hosts draw.
inline constexpr const char* kWithoutSample = "cpu-discrete without sample";

// Of every cpu-discrete of these tests, where it is set (tests/e2e/discrete_suites_test.py).
inline const char* tested_options() {
  return std::getenv("FATHOM_TEST_DISCRETE");
}
// Of tests that are about no chip.
inline const char* tested_chip() {
  return tested_options() == nullptr ? kCpu : kCpuDiscrete;
}

// Options of cpu-discrete: those of the test are behind the others, for the last one holds.
inline std::string discrete_options(const std::string& name, const std::string& of_the_test) {
  std::string options = tested_options() == nullptr ? "" : tested_options();
  std::string part;
  if (name == kWithoutCollectives) part = "without=collectives";
  if (name == kWithoutSample) part = "without=sample";
  for (const std::string& more : {of_the_test, part}) {
    if (!options.empty() && !more.empty()) options += ",";
    options += more;
  }
  if (const char* starts = std::getenv("FATHOM_TEST_STARTS")) {
    std::ofstream(starts, std::ios::app) << options + "\n";
  }
  return options;
}

// Of a test's parameter, for its name.
inline std::string letters_of(std::string text) {
  std::erase_if(text, [](unsigned char letter) { return std::isalnum(letter) == 0; });
  return text;
}

inline std::unique_ptr<device::Device> open_chip(const std::string& name,
                                                 device::DeviceOptions options = {}) {
  if (name != kCpu) options.kernels = discrete_options(name, options.kernels);
  const auto entry = name == kCpu ? fathom_cpu_backend_entry : fathom_cpu_discrete_backend_entry;
  return device::Device::open(*entry(FATHOM_ABI_VERSION), options).value();
}

}  // namespace fathom
