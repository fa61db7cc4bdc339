#include "backends/cpu/self_test.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <new>
#include <string_view>
#include <vector>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/cpu_device.h"
#include "backends/cpu/host/pages.h"
#include "backends/cpu/packing/pack_weights.h"
#include "backends/cpu/packing/packing.h"

namespace fathom::cpu {
namespace {

// Every index of a run is done once, by a thread of the pool.
fathom_status test_threads(fathom_device& device) {
  constexpr int64_t kIndices = 1000, kRepeats = 200;
  ThreadPool& pool = device.pool;
  std::vector<std::atomic<int32_t>> done(kIndices);
  for (int64_t run = 1; run <= kRepeats; ++run) {
    std::atomic<int64_t> sum = 0;
    std::atomic<bool> strangers = false;
    parallel_for(pool, kIndices, [&](int64_t index, int thread) {
      ++done[static_cast<size_t>(index)];
      sum += index;
      if (thread < 0 || thread >= pool.threads()) strangers = true;
    });
    if (sum != kIndices * (kIndices - 1) / 2 || strangers) {
      return device::fail(FATHOM_INTERNAL,
                          fmt::format("cpu threads: expected a sum of {} from {} threads, got {}",
                                      kIndices * (kIndices - 1) / 2, pool.threads(), sum.load()));
    }
    for (const auto& count : done) {
      if (count == run) continue;
      return device::fail(
          FATHOM_INTERNAL,
          fmt::format("cpu threads: expected each part of the work once, got one {} "
                      "times in {} runs",
                      count.load(), run));
    }
  }
  return FATHOM_OK;
}

// Each word holds its own address, then its complement: written by all threads, read by all.
fathom_status test_memory(fathom_device& device) {
  constexpr int64_t kParts = 64;
  constexpr int64_t kPartWords = (int64_t{1} << 20) / 8;
  const std::unique_ptr<uint64_t, decltype(&std::free)> memory(
      static_cast<uint64_t*>(allocate_pages(kParts * kPartWords * sizeof(uint64_t))), std::free);
  if (memory == nullptr) return device::fail(FATHOM_NO_MEMORY, "cpu memory: no room for the test");
  for (const uint64_t flip : {uint64_t{0}, ~uint64_t{0}}) {
    const auto wanted = [&](const uint64_t* word) {
      return reinterpret_cast<uintptr_t>(word) ^ flip;
    };
    parallel_for(device.pool, kParts, [&](int64_t part, int) {
      uint64_t* words = memory.get() + part * kPartWords;
      for (int64_t i = 0; i < kPartWords; ++i) words[i] = wanted(words + i);
    });
    std::atomic<const uint64_t*> wrong = nullptr;
    parallel_for(device.pool, kParts, [&](int64_t part, int) {
      const uint64_t* words = memory.get() + part * kPartWords;
      for (int64_t i = 0; i < kPartWords; ++i) {
        if (words[i] != wanted(words + i)) wrong = words + i;
      }
    });
    if (const uint64_t* word = wrong) {
      return device::fail(FATHOM_INTERNAL,
                          fmt::format("cpu memory: expected {:#x} at {}, got {:#x}", wanted(word),
                                      static_cast<const void*>(word), *word));
    }
  }
  return FATHOM_OK;
}

// A linear layer of numbers that repeat, with a weight in one format.
class Products {
 public:
  explicit Products(fathom_dtype dtype) : dtype_(dtype) {
    for (size_t i = 0; i < x_.size(); ++i)
      x_[i] = i % kBlock == 0 ? 127.0f : static_cast<float>(static_cast<int>(i * 7 % 255) - 127);
    for (size_t i = 0; i < bytes_.size(); ++i) bytes_[i] = byte(i);
    for (size_t i = 0; i < floats_.size(); ++i) floats_[i] = value(i);
  }

  fathom_status run(fathom_device& device) {
    FATHOM_CPU_TRY(multiply(device, weight()));
    return dtype_ == FATHOM_I8 && device.kernels.reads_packed ? run_packed(device) : FATHOM_OK;
  }

 private:
  static constexpr int64_t kRows = 19, kOutputs = 136, kColumns = 320;
  static constexpr int32_t kBlock = 64;

  static fathom_tensor matrix(float* data, int64_t columns) {
    return {data, FATHOM_F32, 2, {kRows, columns, 1, 1}, {columns, 1, 1, 1}};
  }
  fathom_weight weight() const {
    if (dtype_ == FATHOM_F32) {
      return {floats_.data(), nullptr, dtype_, 0, 0, FATHOM_LAYOUT_ROWS, kOutputs, kColumns};
    }
    const int32_t block_n = dtype_ == FATHOM_I8 ? 1 : kBlock;
    return {bytes_.data(), scales_.data(),     dtype_,   block_n,
            kBlock,        FATHOM_LAYOUT_ROWS, kOutputs, kColumns};
  }

  // By products of bytes: exact, for the row's numbers are bytes, too, and their largest is 127.
  fathom_status run_packed(fathom_device& device) {
    fathom_weight packed = weight();
    const std::unique_ptr<void, decltype(&std::free)> memory(allocate_pages(packed_bytes(packed)),
                                                             std::free);
    if (memory == nullptr) throw std::bad_alloc();
    BadScale bad;
    if (!pack_weight(packed, memory.get(), bad)) {
      return device::fail(FATHOM_INTERNAL, "cpu products: expected scales of 1 to be packed");
    }
    packed.data = memory.get();
    packed.scale = nullptr;
    packed.layout = kLayoutPacked;
    return multiply(device, packed);
  }

  fathom_status multiply(fathom_device& device, const fathom_weight& weight) {
    std::fill(out_.begin(), out_.end(), 0.0f);
    const fathom_linear_args args = {sizeof(args), matrix(x_.data(), kColumns), weight,
                                     matrix(out_.data(), kOutputs)};
    device.kernels.linear(device.pool, args);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t output = 0; output < kOutputs; ++output) {
        FATHOM_CPU_TRY(compare(device, row, output));
      }
    }
    return FATHOM_OK;
  }

  // Small numbers: in F8_E4M3 those from 1 to 1.875 and their negatives.
  uint8_t byte(size_t i) const {
    if (dtype_ == FATHOM_I8) return static_cast<uint8_t>(static_cast<int>(i * 11 % 255) - 127);
    return static_cast<uint8_t>(0x38 + i % 8 + (i % 3 == 0 ? 0x80 : 0));
  }
  float value(size_t i) const {
    if (dtype_ == FATHOM_I8) return static_cast<float>(static_cast<int8_t>(byte(i)));
    return (1 + 0.125f * static_cast<float>(i % 8)) * (i % 3 == 0 ? -1.0f : 1.0f);
  }

  fathom_status compare(fathom_device& device, int64_t row, int64_t output) const {
    double sum = 0;
    double size = 0;
    for (int64_t k = 0; k < kColumns; ++k) {
      const double product = double{x_[static_cast<size_t>(row * kColumns + k)]} *
                             value(static_cast<size_t>(output * kColumns + k));
      sum += product;
      size += std::abs(product);
    }
    const double got = out_[static_cast<size_t>(row * kOutputs + output)];
    // Far above what rounding does to so short a sum, far below one product.
    if (std::abs(got - sum) <= 1e-5 * size) return FATHOM_OK;
    return device::fail(FATHOM_INTERNAL,
                        fmt::format("cpu products: {} kernels: expected {} at [{}, {}], got {}",
                                    device.kernels.name, sum, row, output, got));
  }

  fathom_dtype dtype_;
  std::vector<float> x_ = std::vector<float>(kRows * kColumns);
  std::vector<float> out_ = std::vector<float>(kRows * kOutputs);
  std::vector<uint8_t> bytes_ = std::vector<uint8_t>(kOutputs * kColumns);
  std::vector<float> floats_ = std::vector<float>(kOutputs * kColumns);
  std::vector<float> scales_ = std::vector<float>(kOutputs * kColumns / kBlock, 1.0f);
};

fathom_status test_products(fathom_device& device) {
  for (const fathom_dtype dtype : {FATHOM_F32, FATHOM_I8, FATHOM_F8_E4M3}) {
    FATHOM_CPU_TRY(Products(dtype).run(device));
  }
  return FATHOM_OK;
}

struct SelfTest {
  const char* name;
  fathom_status (*run)(fathom_device& device);
};
constexpr SelfTest kSelfTests[] = {
    {"threads", test_threads},
    {"memory", test_memory},
    {"products", test_products},
};

}  // namespace

const char* self_test_name(fathom_device*, int32_t index) {
  if (index < 0 || index >= static_cast<int32_t>(std::size(kSelfTests))) return nullptr;
  return kSelfTests[index].name;
}

fathom_status self_test(fathom_device* device, const char* name) {
  for (const auto& test : kSelfTests) {
    if (name == nullptr || std::string_view(name) != test.name) continue;
    try {
      return test.run(*device);
    } catch (const std::bad_alloc&) {
      return device::fail(FATHOM_NO_MEMORY, fmt::format("cpu {}: no room for the test", name));
    }
  }
  return invalid("cpu self_test: expected the name of a test, got {}",
                 name == nullptr ? "NULL" : name);
}

}  // namespace fathom::cpu
