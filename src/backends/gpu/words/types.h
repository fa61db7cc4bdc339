// Types of device code that are the same in every dialect. The dialect has defined GPU_DEVICE.
#pragma once

#include <cstdint>
#include <type_traits>

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// Storage alone: widen() and narrow() (numbers.h) compute.
struct bf16 {
  uint16_t bits;
};
struct e4m3 {
  uint8_t bits;
};

constexpr int alignment_of_vec(int bytes) {
  return bytes % 16 == 0 ? 16 : bytes % 8 == 0 ? 8 : bytes % 4 == 0 ? 4 : bytes % 2 == 0 ? 2 : 1;
}

// Values in registers.
template <typename T, int N>
struct alignas(alignment_of_vec(N * sizeof(T))) Vec {
  T v[N];
  GPU_DEVICE T& operator[](int i) { return v[i]; }
  GPU_DEVICE const T& operator[](int i) const { return v[i]; }
};

// An address in device memory.
template <typename T>
struct Global {
  T* address = nullptr;

  Global() = default;
  GPU_DEVICE constexpr Global(T* at) : address(at) {}
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  GPU_DEVICE constexpr Global(Global<U> other) : address(other.address) {}

  GPU_DEVICE constexpr Global operator+(int64_t elements) const { return {address + elements}; }
  GPU_DEVICE constexpr bool is_null() const { return address == nullptr; }
  template <typename U>
  GPU_DEVICE Global<U> as() const {
    return {reinterpret_cast<U*>(address)};
  }
};

// An address in the block's shared memory: bytes from its begin.
template <typename T>
struct Shared {
  int32_t byte = 0;

  Shared() = default;
  GPU_DEVICE constexpr explicit Shared(int32_t at) : byte(at) {}
  template <typename U, typename = std::enable_if_t<std::is_same_v<const U, T>>>
  GPU_DEVICE constexpr Shared(Shared<U> other) : byte(other.byte) {}

  GPU_DEVICE constexpr Shared operator+(int elements) const {
    return Shared(byte + elements * static_cast<int>(sizeof(T)));
  }
  template <typename U>
  GPU_DEVICE constexpr Shared<U> as() const {
    return Shared<U>(byte);
  }
};

template <typename T>
GPU_DEVICE constexpr Shared<T> shared(int byte) {
  return Shared<T>(byte);
}

// How many blocks of how many threads, and what shared memory each of them has.
struct Shape {
  int64_t grid_x = 1;
  int grid_y = 1;
  int grid_z = 1;
  int threads = 0;
  int shared_bytes = 0;
};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
