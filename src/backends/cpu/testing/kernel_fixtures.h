// What the CPU kernels' tests share: devices of each kernel set, tensors and weights with data, and
// bounds on what rounding may do.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/cpu_device.h"
#include "device/abi.h"

namespace fathom::cpu::test {

// Half the distance of neighbouring F32 numbers, relative: what one rounding may add.
inline constexpr double kRounding = 0x1p-24;

// The native kernel sets a test runs over: all this processor has, and those of AVX-512 that it
// lacks, emulated.
std::vector<const KernelSet*> native_sets();

// A device of one kernel set. Operators run through the backend's table, with all its checks.
class CpuDevice {
 public:
  explicit CpuDevice(const KernelSet& kernels, int threads = 1) : device_(kernels, threads, {}) {}

  fathom_status run(fathom_op op, const void* args);
  // Gives attention and experts the scratch they ask for; the run must succeed.
  template <typename Args>
  void run_with_workspace(fathom_op op, Args args) {
    size_t bytes = 0;
    ASSERT_EQ(table().workspace_bytes(&device_, op, &args, &bytes), FATHOM_OK)
        << table().last_error();
    // Not zeroed and not cleared in between: a kernel may not count on either.
    if (workspace_.size() < bytes) workspace_.assign(bytes, 0xff);
    args.workspace = workspace_.data();
    args.workspace_bytes = bytes;
    ASSERT_EQ(run(op, &args), FATHOM_OK) << table().last_error();
  }

  fathom_device* handle() { return &device_; }
  static const fathom_backend& table();

 private:
  fathom_device device_;
  std::vector<uint8_t> workspace_;
};

// A matrix whose rows lie `gap` floats further apart than they are long. The gaps are NaN: reading
// one shows in the results, and gaps_are_whole() tells of writes.
class Matrix {
 public:
  Matrix(int64_t rows, int64_t columns, int64_t gap = 0);
  static Matrix random(std::mt19937& random, int64_t rows, int64_t columns, int64_t gap = 0,
                       float deviation = 1.0f);

  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  float& at(int64_t row, int64_t column) {
    return values_[static_cast<size_t>(row * stride_ + column)];
  }
  float at(int64_t row, int64_t column) const {
    return values_[static_cast<size_t>(row * stride_ + column)];
  }
  fathom_tensor tensor();
  // Rows [begin, begin + count).
  fathom_tensor rows_tensor(int64_t begin, int64_t count);
  Matrix absolute() const;
  // Each number rounded to bf16.
  Matrix in_bf16() const;
  bool gaps_are_whole() const;
  bool same_bits(const Matrix& other) const;

 private:
  int64_t rows_, columns_, stride_;
  std::vector<float> values_;
};

// A weight of any format with its data, in rows.
class WeightData {
 public:
  // Integers have scales of a row's own, whatever `block_n` says.
  static WeightData random(std::mt19937& random, fathom_dtype dtype, int64_t n, int64_t k,
                           int32_t block_n = 128, int32_t block_k = 128);

  fathom_weight view() const;
  // In F32.
  WeightData absolute() const;
  double value(int64_t row, int64_t column) const;
  uint8_t* bytes() { return bytes_.data(); }
  std::vector<float>& scales() { return scales_; }

 private:
  void fill_integers(std::mt19937& random);

  fathom_weight shape_ = {};
  std::vector<uint8_t> bytes_;
  std::vector<float> scales_;
};

// A weight that a device packed for one operator.
class PackedWeight {
 public:
  PackedWeight(CpuDevice& device, fathom_op op, const fathom_weight& weight);

  const fathom_weight& view() const { return view_; }

 private:
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<void, Free> memory_;
  fathom_weight view_ = {};
};

// What F32 sums may add to a dot product of `length` products whose absolute values sum to
// `magnitude`. Kernels sum in four lanes or more, so no value passes through more than length / 4
// additions and the lanes' own; each rounds once, as do the product and the weight's scale.
inline double dot_bound(int64_t length, double magnitude) {
  return (static_cast<double>(length) / 4 + 8) * kRounding * magnitude + 1e-37;
}

// Each element within bound.at(row, column) * factor of the expected one.
void expect_near(const Matrix& got, const Matrix& expected, const Matrix& bound, double factor);

// For tests that go through native_sets() themselves: what they expect is computed once for all, as
// it takes longer than what is tested.
class AllSetsTest : public ::testing::Test {
 protected:
  std::mt19937 random_{20241226};
};

// For INSTANTIATE_TEST_SUITE_P over native_sets().
class NativeTest : public AllSetsTest, public ::testing::WithParamInterface<const KernelSet*> {
 protected:
  const KernelSet& kernels() const { return *GetParam(); }
};
std::string set_name(const ::testing::TestParamInfo<const KernelSet*>& info);

#define FATHOM_NATIVE_SUITE(suite) \
  INSTANTIATE_TEST_SUITE_P(Native, suite, ::testing::ValuesIn(test::native_sets()), test::set_name)

}  // namespace fathom::cpu::test
