// A chip of this folder through its table alone, as a host uses it.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "device/abi.h"

namespace fathom::cpu::test {

class Chip {
 public:
  explicit Chip(fathom_backend_entry_fn entry, const char* kernels = "native", int threads = 2)
      : table(*entry(FATHOM_ABI_VERSION)) {
    const fathom_device_options options = {sizeof(options), 0, threads, kernels, 0, 0, 1};
    EXPECT_EQ(table.device_open(&options, &device), FATHOM_OK) << error();
    EXPECT_EQ(table.stream_create(device, &stream), FATHOM_OK) << error();
  }
  ~Chip() {
    table.stream_destroy(device, stream);
    for (void* memory : memory_) table.free(device, memory);
    table.device_close(device);
  }
  Chip(const Chip&) = delete;
  Chip& operator=(const Chip&) = delete;

  std::string error() const { return table.last_error(); }

  // Memory that ends with the chip.
  template <typename T>
  T* memory(size_t count) {
    void* memory = nullptr;
    EXPECT_EQ(table.alloc(device, count * sizeof(T), &memory), FATHOM_OK) << error();
    memory_.push_back(memory);
    return static_cast<T*>(memory);
  }
  template <typename T>
  T* upload(const std::vector<T>& values) {
    T* to = memory<T>(values.size());
    write(to, values);
    return to;
  }
  template <typename T>
  void write(T* to, const std::vector<T>& values) {
    EXPECT_EQ(table.copy_to_device(device, stream, to, values.data(), values.size() * sizeof(T)),
              FATHOM_OK)
        << error();
    EXPECT_EQ(table.stream_synchronize(device, stream), FATHOM_OK) << error();
  }
  template <typename T>
  std::vector<T> download(const T* from, size_t count) {
    std::vector<T> values(count);
    EXPECT_EQ(table.copy_to_host(device, stream, values.data(), from, count * sizeof(T)), FATHOM_OK)
        << error();
    EXPECT_EQ(table.stream_synchronize(device, stream), FATHOM_OK) << error();
    return values;
  }

  fathom_status run(fathom_op op, const void* args) {
    return table.kernels[op](device, stream, args);
  }
  fathom_status synchronize() { return table.stream_synchronize(device, stream); }
  // Scratch for the arguments of attention or experts.
  template <typename Args>
  void add_workspace(fathom_op op, Args& args) {
    EXPECT_EQ(table.workspace_bytes(device, op, &args, &args.workspace_bytes), FATHOM_OK)
        << error();
    args.workspace = memory<std::byte>(args.workspace_bytes);
  }

  const fathom_backend& table;
  fathom_device* device = nullptr;
  fathom_stream* stream = nullptr;

 private:
  std::vector<void*> memory_;
};

inline fathom_tensor matrix(float* data, int64_t rows, int64_t columns) {
  return {data, FATHOM_F32, 2, {rows, columns, 1, 1}, {columns, 1, 1, 1}};
}

// In F32.
inline fathom_weight rows_weight(const float* data, int64_t n, int64_t k) {
  return {data, nullptr, FATHOM_F32, 0, 0, FATHOM_LAYOUT_ROWS, n, k};
}

}  // namespace fathom::cpu::test
