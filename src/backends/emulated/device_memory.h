// The chip's memory, at two places: device addresses, which fault for whoever touches them, and
// what stands behind them, a fixed distance away, which only kernels and copies of the chip know
// of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>

namespace fathom::emulated {

// What fresh memory holds: no number in F32, BF16 or E4M3, and out of range as a token, position,
// count, block or address.
inline constexpr uint32_t kPoison = 0x7fff7fff;

class DeviceMemory {
 public:
  // Reserves addresses; throws std::bad_alloc where the host gives none.
  DeviceMemory();
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // A device address of poison, on a page of its own; NULL where there is no room.
  void* allocate(size_t bytes);
  // The address is never handed out again. False: it is none of allocate().
  bool release(void* address);

  // Memory that is allocated from `begin` to `end`, both 0: none.
  struct Range {
    uintptr_t begin = 0;
    uintptr_t end = 0;

    bool has(uintptr_t address, size_t bytes) const {
      return address >= begin && address <= end && bytes <= end - address;
    }
  };
  // The one that the address lies in.
  Range around(const void* address) const;

  // What a device address stands for.
  std::byte* behind(const void* address) const {
    return reinterpret_cast<std::byte*>(reinterpret_cast<uintptr_t>(address) + distance_);
  }
  // The same where all bytes are allocated, else NULL.
  std::byte* find(const void* address, size_t bytes) const;

 private:
  uintptr_t addresses_ = 0;
  uintptr_t distance_ = 0;
  size_t used_ = 0;
  mutable std::shared_mutex mutex_;
  std::map<uintptr_t, uintptr_t> ends_;  // by begin
};

}  // namespace fathom::emulated
