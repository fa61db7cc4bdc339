// The dialect of the emulated chip: the words of backends/gpu/words.h by the host's compiler. The
// build says how many lanes a warp has (FATHOM_EMULATED_WARP_LANES).
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tuple>
#include <type_traits>

#include "backends/emulated/runtime.h"

#define GPU_KERNEL
#define GPU_DEVICE
#define GPU_UNROLL

#include "backends/gpu/words/numbers.h"
#include "backends/gpu/words/types.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

using emulated::Site;

constexpr int kWarp = FATHOM_EMULATED_WARP_LANES;
constexpr int kLoadBytes = 16;
constexpr int kSharedBytes = emulated::kSharedBytes;
constexpr int kMostThreads = emulated::kMostThreads;
constexpr bool kHasAsyncCopies = true;
template <typename In>
constexpr bool kHasTiles = true;

inline int thread() {
  return emulated::place().thread;
}
inline int threads() {
  return emulated::place().threads;
}
inline int lane() {
  return emulated::place().lane;
}
inline int warp() {
  return emulated::place().warp;
}
inline int warps() {
  return emulated::place().threads / kWarp;
}
inline int64_t block_x() {
  return emulated::place().block_x;
}
inline int block_y() {
  return emulated::place().block_y;
}
inline int block_z() {
  return emulated::place().block_z;
}
inline int64_t blocks_x() {
  return emulated::place().blocks_x;
}
inline int blocks_y() {
  return emulated::place().blocks_y;
}
inline int blocks_z() {
  return emulated::place().blocks_z;
}

// ------------------------------------------------------------------ memory

template <typename T>
constexpr bool kIsAccess = std::is_trivially_copyable_v<T> && sizeof(T) <= 16 &&
                           (sizeof(T) & (sizeof(T) - 1)) == 0;

template <typename T>
std::remove_const_t<T> load(Global<T> p, int64_t i = 0, Site site = Site::here()) {
  static_assert(kIsAccess<T>, "a load is 1, 2, 4, 8 or 16 bytes wide");
  std::remove_const_t<T> value;
  std::memcpy(&value, emulated::read_global(p.address + i, sizeof(T), site), sizeof(T));
  return value;
}

template <int N, typename T>
Vec<std::remove_const_t<T>, N> load_vec(Global<T> p, int64_t i = 0, Site site = Site::here()) {
  using Value = Vec<std::remove_const_t<T>, N>;
  static_assert(kIsAccess<Value>, "a load is 1, 2, 4, 8 or 16 bytes wide");
  Value value;
  std::memcpy(&value, emulated::read_global(p.address + i, sizeof(Value), site), sizeof(Value));
  return value;
}

template <typename T>
void store(Global<T> p, int64_t i, T value, Site site = Site::here()) {
  static_assert(kIsAccess<T>, "a store is 1, 2, 4, 8 or 16 bytes wide");
  std::memcpy(emulated::write_global(p.address + i, sizeof(T), site), &value, sizeof(T));
}

template <typename T, int N>
void store_vec(Global<T> p, int64_t i, const Vec<T, N>& value, Site site = Site::here()) {
  static_assert(kIsAccess<Vec<T, N>>, "a store is 1, 2, 4, 8 or 16 bytes wide");
  std::memcpy(emulated::write_global(p.address + i, sizeof(value), site), &value, sizeof(value));
}

template <typename T>
void atomic_add(Global<T> p, int64_t i, T value, Site site = Site::here()) {
  static_assert(std::is_same_v<T, int32_t> || std::is_same_v<T, int64_t>,
                "only counters are added to so");
  emulated::atomic_add_global(p.address + i, sizeof(T), value, site);
}

template <typename T>
constexpr bool kIsSharedStore = kIsAccess<T> && sizeof(T) >= 2;

template <typename T>
std::remove_const_t<T> load(Shared<T> p, int i = 0, Site site = Site::here()) {
  static_assert(kIsAccess<T>, "a load is 1, 2, 4, 8 or 16 bytes wide");
  std::remove_const_t<T> value;
  std::memcpy(&value, emulated::read_shared((p + i).byte, sizeof(T), site), sizeof(T));
  return value;
}

template <int N, typename T>
Vec<std::remove_const_t<T>, N> load_vec(Shared<T> p, int i = 0, Site site = Site::here()) {
  using Value = Vec<std::remove_const_t<T>, N>;
  static_assert(kIsAccess<Value>, "a load is 1, 2, 4, 8 or 16 bytes wide");
  Value value;
  std::memcpy(&value, emulated::read_shared((p + i).byte, sizeof(Value), site), sizeof(Value));
  return value;
}

template <typename T>
void store(Shared<T> p, int i, T value, Site site = Site::here()) {
  static_assert(kIsSharedStore<T>, "a store to shared memory is 2, 4, 8 or 16 bytes wide");
  std::memcpy(emulated::write_shared((p + i).byte, sizeof(T), site), &value, sizeof(T));
}

template <typename T, int N>
void store_vec(Shared<T> p, int i, const Vec<T, N>& value, Site site = Site::here()) {
  static_assert(kIsSharedStore<Vec<T, N>>, "a store to shared memory is 2, 4, 8 or 16 bytes wide");
  std::memcpy(emulated::write_shared((p + i).byte, sizeof(value), site), &value, sizeof(value));
}

template <int N, typename T>
void copy_async_or_zero(Shared<T> to, int i, Global<const T> from, int64_t j, bool is_there,
                        Site site = Site::here()) {
  constexpr int kBytes = N * static_cast<int>(sizeof(T));
  static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "a copy is 4, 8 or 16 bytes wide");
  emulated::copy_async((to + i).byte, is_there ? from.address + j : nullptr, kBytes, site);
}

template <int N, typename T>
void copy_async(Shared<T> to, int i, Global<const T> from, int64_t j, Site site = Site::here()) {
  copy_async_or_zero<N>(to, i, from, j, true, site);
}

inline void copy_commit() {
  emulated::copy_commit();
}

template <int kLeft>
void copy_wait(Site site = Site::here()) {
  emulated::copy_wait(kLeft, site);
}

// ------------------------------------------------------------------ threads

inline void block_barrier(Site site = Site::here()) {
  emulated::block_barrier(site);
}

inline void warp_barrier(Site site = Site::here()) {
  emulated::warp_barrier(site);
}

template <typename T>
struct Exchanged {
  T in;
  T out;
  int from;
};

template <typename T>
T shuffle(T value, int from, Site site = Site::here()) {
  static_assert(kIsAccess<T>, "a shuffle is 1, 2, 4, 8 or 16 bytes wide");
  Exchanged<T> mine = {value, value, from & (kWarp - 1)};
  emulated::together(site, &mine, [](void* const* lanes, int count) {
    for (int i = 0; i < count; ++i) {
      auto& lane = *static_cast<Exchanged<T>*>(lanes[i]);
      lane.out = static_cast<const Exchanged<T>*>(lanes[lane.from])->in;
    }
  });
  return mine.out;
}

template <typename T>
T shuffle_xor(T value, int mask, Site site = Site::here()) {
  return shuffle(value, emulated::place().lane ^ mask, site);
}

// v(l) and v(l ^ step) become one, step by step: what each lane gets is the same tree.
template <int kGroup, typename T, typename Join>
void join_lanes(void* const* lanes, int count, Join join) {
  T values[2][kWarp];
  int now = 0;
  for (int i = 0; i < count; ++i) values[0][i] = *static_cast<const T*>(lanes[i]);
  for (int step = kGroup / 2; step > 0; step /= 2) {
    for (int i = 0; i < count; ++i) {
      values[1 - now][i] = join(values[now][i], values[now][i ^ step]);
    }
    now = 1 - now;
  }
  for (int i = 0; i < count; ++i) *static_cast<T*>(lanes[i]) = values[now][i];
}

template <int kGroup = kWarp, typename T>
T warp_sum(T value, Site site = Site::here()) {
  static_assert(kGroup <= kWarp && (kGroup & (kGroup - 1)) == 0, "a group is a part of a warp");
  emulated::together(site, &value, [](void* const* lanes, int count) {
    join_lanes<kGroup, T>(lanes, count, [](T a, T b) { return a + b; });
  });
  return value;
}

template <int kGroup = kWarp, typename T>
T warp_max(T value, Site site = Site::here()) {
  static_assert(kGroup <= kWarp && (kGroup & (kGroup - 1)) == 0, "a group is a part of a warp");
  emulated::together(site, &value, [](void* const* lanes, int count) {
    join_lanes<kGroup, T>(lanes, count, [](T a, T b) { return a > b ? a : b; });
  });
  return value;
}

struct Voted {
  bool says;
  int before;
  int all;
};

inline Voted vote(bool says, Site site) {
  Voted mine = {says, 0, 0};
  emulated::together(site, &mine, [](void* const* lanes, int count) {
    int all = 0;
    for (int i = 0; i < count; ++i) {
      auto& lane = *static_cast<Voted*>(lanes[i]);
      lane.before = all;
      all += lane.says ? 1 : 0;
    }
    for (int i = 0; i < count; ++i) static_cast<Voted*>(lanes[i])->all = all;
  });
  return mine;
}

inline bool vote_any(bool says, Site site = Site::here()) {
  return vote(says, site).all != 0;
}
inline bool vote_all(bool says, Site site = Site::here()) {
  return vote(says, site).all == kWarp;
}
inline int vote_count(bool says, Site site = Site::here()) {
  return vote(says, site).all;
}
inline int vote_rank(bool says, Site site = Site::here()) {
  return vote(says, site).before;
}

// ------------------------------------------------------------------ numbers

inline float fma(float a, float b, float c) {
  return std::fma(a, b, c);
}
inline float exp(float v) {
  return std::exp(v);
}
inline float log(float v) {
  return std::log(v);
}
inline float sqrt(float v) {
  return std::sqrt(v);
}
inline float rsqrt(float v) {
  return 1.0f / std::sqrt(v);
}
inline uint64_t multiply_high(uint64_t a, uint64_t b) {
  __extension__ typedef unsigned __int128 Wide;
  return static_cast<uint64_t>(static_cast<Wide>(a) * b >> 64);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu

#include "backends/emulated/tile.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// ------------------------------------------------------------------ launches

template <typename... P, typename... A>
fathom_status launch(Queue& queue, const char* name, const Shape& shape, void (*kernel)(P...),
                     A... arguments) {
  using Call = std::tuple<void (*)(P...), P...>;
  static_assert((std::is_trivially_copyable_v<P> && ...), "arguments are copied as bytes");
  static_assert(sizeof(Call) <= emulated::kMostLaunchBytes, "too many bytes of arguments");
  const Call call(kernel, static_cast<P>(arguments)...);
  const auto body = [](const void* bytes) {
    std::apply([](auto function, auto... values) { function(values...); },
               *static_cast<const Call*>(bytes));
  };
  const emulated::Grid grid = {name,         kWarp,         shape.grid_x,      shape.grid_y,
                               shape.grid_z, shape.threads, shape.shared_bytes};
  return emulated::launch(queue, grid, body, &call, sizeof(call));
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
