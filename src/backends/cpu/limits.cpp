#include "backends/cpu/limits.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/host/pages.h"
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

// The least time of `run`, which does something `times` times, over kRuns runs.
template <typename Run>
double least_seconds(int times, const Run& run) {
  return 1 / best_rate([&] {
           for (int i = 0; i < times; ++i) run();
           return times;
         });
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

// Products of the linear kernel with a weight that stays in a cache.
double linear_rate(fathom_device& device, fathom_dtype dtype, float* memory) {
  constexpr int64_t kRows = 64, kOutputs = 512, kColumns = 1024, kBlock = 128;
  float* x = memory;
  float* out = x + kRows * kColumns;
  float* scale = out + kRows * kOutputs;
  float* data = scale + kOutputs * kColumns / kBlock;
  std::fill(x, data, 1.0f);
  const auto matrix = [](float* from, int64_t columns) {
    return fathom_tensor{from, FATHOM_F32, 2, {kRows, columns, 1, 1}, {columns, 1, 1, 1}};
  };
  const bool scaled = dtype == FATHOM_F8_E4M3;
  const int32_t block = scaled ? static_cast<int32_t>(kBlock) : 0;
  const fathom_weight weight = {data,  scaled ? scale : nullptr, dtype,    block,
                                block, FATHOM_LAYOUT_ROWS,       kOutputs, kColumns};
  const fathom_linear_args args = {sizeof(args), matrix(x, kColumns), weight,
                                   matrix(out, kOutputs)};
  return best_rate([&] {
    int64_t operations = 0;
    const auto end = Clock::now() + kProductTime;
    while (Clock::now() < end) {
      device.kernels.linear(device.pool, args);
      operations += 2 * kRows * kOutputs * kColumns;
    }
    return operations;
  });
}

// As copies are done: by the thread that asks for them.
double copy_rate(std::byte* to, const std::byte* from, int64_t bytes) {
  return best_rate([&] {
    std::memcpy(to, from, static_cast<size_t>(bytes));
    return bytes;
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
  limits->int4_ops_per_s = limits->int8_ops_per_s;  // 4-bit weights are multiplied as bytes
  limits->fp8_flops_per_s = linear_rate(*device, FATHOM_F8_E4M3, memory.get());
  limits->f32_flops_per_s = linear_rate(*device, FATHOM_F32, memory.get());

  auto* bytes = reinterpret_cast<std::byte*>(memory.get());
  limits->write_bytes_per_s = best_rate([&] {
    parallel_for(device->pool, kReadBytes / kReadPartBytes, [&](int64_t part, int) {
      std::memset(bytes + part * kReadPartBytes, 1, kReadPartBytes);
    });
    return kReadBytes;
  });
  limits->to_device_bytes_per_s = copy_rate(bytes, bytes + kReadBytes / 2, kReadBytes / 2);
  limits->to_host_bytes_per_s = limits->to_device_bytes_per_s;
  constexpr int kLaunches = 1000;
  limits->launch_s = least_seconds(
      kLaunches, [&] { parallel_for(device->pool, device->pool.threads(), [](int64_t, int) {}); });
  return FATHOM_OK;
}

}  // namespace fathom::cpu
