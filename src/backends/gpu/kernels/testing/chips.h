// For tests of kernels: the emulated chip at each width of a warp beside the CPU's reference
// kernels, both through the contract's table.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "device/device.h"

namespace fathom::gpu::test {

inline constexpr int kWidths[] = {32, 64, 128};
// One of rising, falling and two seeds, by the day; with FATHOM_LONG=1 all of them.
std::vector<std::string> lane_orders();

// One chip and the memory that a test gave it. What fails fails the test.
class TestChip {
 public:
  static TestChip emulated(int warp, const std::string& order);
  static TestChip reference();

  device::Device& device() { return *device_; }

  // Device memory, kept until the chip ends.
  void* alloc(size_t bytes);
  void* upload(const void* data, size_t bytes);
  template <typename T>
  T* upload(const std::vector<T>& data) {
    return static_cast<T*>(upload(data.data(), data.size() * sizeof(T)));
  }
  template <typename T>
  std::vector<T> download(const void* from, size_t count) {
    std::vector<T> data(count);
    download(data.data(), from, count * sizeof(T));
    return data;
  }
  // A matrix of the chip's activation type (BF16; F32 on the CPU), whose rows are `stride` apart;
  // 0: dense. `values` are row after row.
  fathom_tensor upload_matrix(const std::vector<float>& values, int64_t rows, int64_t columns,
                              int64_t stride = 0);
  // Of any contents.
  fathom_tensor alloc_matrix(int64_t rows, int64_t columns, int64_t stride = 0);
  fathom_tensor alloc_f32(int64_t rows, int64_t columns);
  // F32 or BF16, row after row.
  std::vector<float> download_matrix(const fathom_tensor& tensor);

  // Runs an operator to its end.
  void run(fathom_op op, const void* args);
  // With the scratch that it asks for.
  template <typename Args>
  void run_with_workspace(fathom_op op, Args args) {
    const auto bytes = device_->workspace_bytes(op, &args);
    ASSERT_TRUE(bytes.ok()) << bytes.error().message;
    args.workspace = alloc(*bytes);
    args.workspace_bytes = *bytes;
    run(op, &args);
  }

 private:
  TestChip(const fathom_backend* backend, const char* kernels);
  void download(void* to, const void* from, size_t bytes);

  std::unique_ptr<device::Device> device_;
  std::vector<device::Buffer> memory_;
};

uint16_t to_bf16(float value);
float from_bf16(uint16_t bits);
// Random numbers that BF16 holds exactly, so that both chips get the same ones.
std::vector<float> random_bf16(std::mt19937& random, int64_t count, float deviation = 1.0f);

// |got - wanted| <= absolute + relative * |wanted|, each; says where it is not so.
void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, double relative,
                 double absolute);

}  // namespace fathom::gpu::test
