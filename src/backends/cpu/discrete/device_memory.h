// Memory at two places: device addresses, which fault, and what they stand for, which only kernels
// and copies know of.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <shared_mutex>

#include "device/abi.h"

namespace fathom::cpu::discrete {

// What fresh memory holds: no number in F32, BF16 or F8_E4M3, and out of range as a token,
// position, count, block or address.
inline constexpr uint32_t kPoison = 0x7fff7fff;

class DeviceMemory {
 public:
  DeviceMemory() = default;
  ~DeviceMemory();
  DeviceMemory(const DeviceMemory&) = delete;
  DeviceMemory& operator=(const DeviceMemory&) = delete;

  // A device address of poison, on a page of its own; NULL where there is no room.
  void* allocate(size_t bytes);
  // Waits for what has found it and runs. The address is never handed out again, so that whoever
  // still uses it is told.
  void release(void* address);

  // Held, shared, while found memory is used: it is not released meanwhile.
  std::shared_mutex& mutex() const { return mutex_; }

  // What [address, address + bytes) stands for; bytes > 0. NULL where it is not all in memory that
  // is allocated: then last_error() says so of `what` in `call`.
  std::byte* find(const void* address, size_t bytes, const char* call, const char* what) const;
  // Whether it was ever handed out.
  bool is_device(const void* address) const;

 private:
  struct Allocation {
    size_t bytes;
    std::byte* backing;  // NULL once it is released
  };
  using Allocations = std::map<uintptr_t, Allocation>;

  // The one in whose pages the address lies.
  Allocations::const_iterator around(const void* address) const;

  mutable std::shared_mutex mutex_;
  Allocations allocations_;
};

}  // namespace fathom::cpu::discrete
