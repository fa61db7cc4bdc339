// The dialect of NVIDIA's chips, from compute capability 8.0 on: the words of backends/gpu/words.h
// by nvcc.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "backends/cuda/queue.h"
#include "backends/gpu/kernel_set.h"

#define GPU_KERNEL __global__
#define GPU_DEVICE __device__
#define GPU_UNROLL _Pragma("unroll")

#include "backends/gpu/words/numbers.h"
#include "backends/gpu/words/types.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

constexpr int kWarp = 32;
constexpr int kLoadBytes = 16;
constexpr int kSharedBytes = 163 * 1024;  // of capability 8.0; 9.0 has more
constexpr int kMostThreads = 1024;
constexpr bool kHasAsyncCopies = true;
template <typename In>
constexpr bool kHasTiles = std::is_same_v<In, bf16>;

GPU_DEVICE inline int thread() {
  return static_cast<int>(threadIdx.x);
}
GPU_DEVICE inline int threads() {
  return static_cast<int>(blockDim.x);
}
GPU_DEVICE inline int lane() {
  return thread() % kWarp;
}
GPU_DEVICE inline int warp() {
  return thread() / kWarp;
}
GPU_DEVICE inline int warps() {
  return threads() / kWarp;
}
GPU_DEVICE inline int64_t block_x() {
  return blockIdx.x;
}
GPU_DEVICE inline int block_y() {
  return static_cast<int>(blockIdx.y);
}
GPU_DEVICE inline int block_z() {
  return static_cast<int>(blockIdx.z);
}
GPU_DEVICE inline int64_t blocks_x() {
  return gridDim.x;
}
GPU_DEVICE inline int blocks_y() {
  return static_cast<int>(gridDim.y);
}
GPU_DEVICE inline int blocks_z() {
  return static_cast<int>(gridDim.z);
}

// ------------------------------------------------------------------ memory

extern __shared__ __align__(16) unsigned char block_memory[];

// What one access of so many bytes moves.
template <size_t kBytes>
struct Bits;
template <>
struct Bits<1> {
  using Type = uint8_t;
};
template <>
struct Bits<2> {
  using Type = uint16_t;
};
template <>
struct Bits<4> {
  using Type = uint32_t;
};
template <>
struct Bits<8> {
  using Type = uint2;
};
template <>
struct Bits<16> {
  using Type = uint4;
};

template <typename T>
GPU_DEVICE T read_bits(const void* from) {
  const auto bits = *static_cast<const typename Bits<sizeof(T)>::Type*>(from);
  T value;
  memcpy(&value, &bits, sizeof(T));
  return value;
}

template <typename T>
GPU_DEVICE void write_bits(void* to, const T& value) {
  typename Bits<sizeof(T)>::Type bits;
  memcpy(&bits, &value, sizeof(T));
  *static_cast<typename Bits<sizeof(T)>::Type*>(to) = bits;
}

template <typename T>
GPU_DEVICE std::remove_const_t<T> load(Global<T> p, int64_t i = 0) {
  return read_bits<std::remove_const_t<T>>(p.address + i);
}

template <int N, typename T>
GPU_DEVICE Vec<std::remove_const_t<T>, N> load_vec(Global<T> p, int64_t i = 0) {
  return read_bits<Vec<std::remove_const_t<T>, N>>(p.address + i);
}

template <typename T>
GPU_DEVICE void store(Global<T> p, int64_t i, T value) {
  write_bits(p.address + i, value);
}

template <typename T, int N>
GPU_DEVICE void store_vec(Global<T> p, int64_t i, const Vec<T, N>& value) {
  write_bits(p.address + i, value);
}

GPU_DEVICE inline void atomic_add(Global<int32_t> p, int64_t i, int32_t value) {
  atomicAdd(p.address + i, value);
}

GPU_DEVICE inline void atomic_add(Global<int64_t> p, int64_t i, int64_t value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(p.address + i),
            static_cast<unsigned long long>(value));
}

template <typename T>
GPU_DEVICE std::remove_const_t<T> load(Shared<T> p, int i = 0) {
  return read_bits<std::remove_const_t<T>>(block_memory + (p + i).byte);
}

template <int N, typename T>
GPU_DEVICE Vec<std::remove_const_t<T>, N> load_vec(Shared<T> p, int i = 0) {
  return read_bits<Vec<std::remove_const_t<T>, N>>(block_memory + (p + i).byte);
}

template <typename T>
GPU_DEVICE void store(Shared<T> p, int i, T value) {
  write_bits(block_memory + (p + i).byte, value);
}

template <typename T, int N>
GPU_DEVICE void store_vec(Shared<T> p, int i, const Vec<T, N>& value) {
  write_bits(block_memory + (p + i).byte, value);
}

// As instructions that the compiler does not know want it.
GPU_DEVICE inline uint32_t shared_address(int byte) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(block_memory + byte));
}

template <int N, typename T>
GPU_DEVICE void copy_async_or_zero(Shared<T> to, int i, Global<const T> from, int64_t j,
                                   bool is_there) {
  constexpr int kBytes = N * static_cast<int>(sizeof(T));
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "a copy is 4, 8 or 16 bytes wide");
  const uint32_t at = shared_address((to + i).byte);
  const T* source = from.address + j;
  const int bytes = is_there ? kBytes : 0;
  if constexpr (kBytes == 16) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(at), "l"(source), "r"(bytes)
                 : "memory");
  } else {
    asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(source),
                 "n"(kBytes), "r"(bytes)
                 : "memory");
  }
}

template <int N, typename T>
GPU_DEVICE void copy_async(Shared<T> to, int i, Global<const T> from, int64_t j) {
  copy_async_or_zero<N>(to, i, from, j, true);
}

GPU_DEVICE inline void copy_commit() {
  asm volatile("cp.async.commit_group;" ::: "memory");
}

template <int kLeft>
GPU_DEVICE void copy_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
}

// ------------------------------------------------------------------ threads

constexpr uint32_t kAllLanes = 0xffffffff;

GPU_DEVICE inline void block_barrier() {
  __syncthreads();
}

GPU_DEVICE inline void warp_barrier() {
  __syncwarp();
}

template <typename T>
GPU_DEVICE T shuffle(T value, int from) {
  constexpr size_t kWords = (sizeof(T) + 3) / 4;
  uint32_t words[kWords] = {};
  memcpy(words, &value, sizeof(T));
  for (size_t i = 0; i < kWords; ++i) words[i] = __shfl_sync(kAllLanes, words[i], from);
  memcpy(&value, words, sizeof(T));
  return value;
}

template <typename T>
GPU_DEVICE T shuffle_xor(T value, int mask) {
  return shuffle(value, lane() ^ mask);
}

template <int kGroup = kWarp, typename T>
GPU_DEVICE T warp_sum(T value) {
  static_assert(kGroup <= kWarp && (kGroup & (kGroup - 1)) == 0, "a group is a part of a warp");
  for (int step = kGroup / 2; step > 0; step /= 2) value = value + shuffle_xor(value, step);
  return value;
}

template <int kGroup = kWarp, typename T>
GPU_DEVICE T warp_max(T value) {
  static_assert(kGroup <= kWarp && (kGroup & (kGroup - 1)) == 0, "a group is a part of a warp");
  for (int step = kGroup / 2; step > 0; step /= 2) {
    const T other = shuffle_xor(value, step);
    value = value > other ? value : other;
  }
  return value;
}

GPU_DEVICE inline bool vote_any(bool says) {
  return __any_sync(kAllLanes, says ? 1 : 0) != 0;
}
GPU_DEVICE inline bool vote_all(bool says) {
  return __all_sync(kAllLanes, says ? 1 : 0) != 0;
}
GPU_DEVICE inline int vote_count(bool says) {
  return __popc(__ballot_sync(kAllLanes, says ? 1 : 0));
}
GPU_DEVICE inline int vote_rank(bool says) {
  return __popc(__ballot_sync(kAllLanes, says ? 1 : 0) & ((1u << lane()) - 1));
}

// ------------------------------------------------------------------ numbers

GPU_DEVICE inline float fma(float a, float b, float c) {
  return __fmaf_rn(a, b, c);
}
GPU_DEVICE inline float exp(float v) {
  return ::expf(v);
}
GPU_DEVICE inline float log(float v) {
  return ::logf(v);
}
GPU_DEVICE inline float sqrt(float v) {
  return __fsqrt_rn(v);
}
GPU_DEVICE inline float rsqrt(float v) {
  return 1.0f / __fsqrt_rn(v);
}
GPU_DEVICE inline uint64_t multiply_high(uint64_t a, uint64_t b) {
  return __umul64hi(a, b);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu

#include "backends/cuda/tile.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// ------------------------------------------------------------------ launches

template <typename... P, typename... A>
fathom_status launch(Queue& queue, const char* name, const Shape& shape, void (*kernel)(P...),
                     A... arguments) {
  cuda::Launch what = {name,
                       reinterpret_cast<const void*>(kernel),
                       shape.grid_x,
                       shape.grid_y,
                       shape.grid_z,
                       shape.threads,
                       shape.shared_bytes};
  return [&](P... converted) {
    void* pointers[] = {const_cast<std::remove_const_t<P>*>(&converted)...};
    return cuda::launch(queue, what, pointers);
  }(static_cast<P>(arguments)...);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
