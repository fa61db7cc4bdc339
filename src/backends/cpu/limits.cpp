#include "backends/cpu/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/pages.h"
#include "device/last_error.h"

namespace fathom::cpu {
namespace {

using Clock = std::chrono::steady_clock;

// Far beyond any cache, and in parts small enough that no thread waits long for another's last one.
constexpr int64_t kReadBytes = int64_t{256} << 20;
constexpr int64_t kReadPartBytes = int64_t{1} << 20;
constexpr auto kProductTime = std::chrono::milliseconds(50);
constexpr int64_t kRounds = 1 << 14;  // of products between two looks at the clock
constexpr int kRuns = 6;

// The greatest rate of `run`, which returns how much it did, over kRuns runs.
template <typename Run>
double best_rate(const Run& run) {
  double best = 0;
  for (int i = 0; i < kRuns; ++i) {
    const auto begin = Clock::now();
    const auto done = static_cast<double>(run());
    const std::chrono::duration<double> spent = Clock::now() - begin;
    best = std::max(best, done / spent.count());
  }
  return best;
}

double product_rate(ThreadPool& pool, int64_t (*multiply)(int64_t rounds)) {
  return best_rate([&] {
    std::atomic<int64_t> operations = 0;
    const auto end = Clock::now() + kProductTime;
    parallel_for(pool, pool.threads(), [&](int64_t, int) {
      while (Clock::now() < end) operations += multiply(kRounds);
    });
    return operations.load();
  });
}

}  // namespace

fathom_status measure_limits(fathom_device* device, fathom_limits* limits) {
  if (limits->size < sizeof(*limits)) {
    return device::fail(FATHOM_INVALID, fmt::format("cpu limits: expected size {} or more, got {}",
                                                    sizeof(*limits), limits->size));
  }
  const KernelSet& kernels = device->kernels;
  if (kernels.read_range == nullptr) {
    return device::fail(
        FATHOM_UNSUPPORTED,
        fmt::format("cpu limits: the {} kernels are not made for speed", kernels.name));
  }
  const std::unique_ptr<float, decltype(&std::free)> memory(
      static_cast<float*>(allocate_pages(kReadBytes)), std::free);
  if (memory == nullptr) return device::fail(FATHOM_NO_MEMORY, "cpu limits: no memory to read");
  std::memset(memory.get(), 1, kReadBytes);  // pages of zeros may all be the same one

  constexpr int64_t kPartFloats = kReadPartBytes / static_cast<int64_t>(sizeof(float));
  limits->read_bytes_per_s = best_rate([&] {
    parallel_for(device->pool, kReadBytes / kReadPartBytes, [&](int64_t part, int) {
      kernels.read_range(memory.get() + part * kPartFloats, kPartFloats);
    });
    return kReadBytes;
  });
  limits->int8_ops_per_s = product_rate(device->pool, kernels.multiply_int8);
  limits->bf16_flops_per_s = product_rate(device->pool, kernels.multiply_bf16);
  return FATHOM_OK;
}

}  // namespace fathom::cpu
