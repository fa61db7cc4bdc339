// Device memory as the host sees it: itself, where the host may touch it (FATHOM_CAP_HOST_MEMORY)
// and no work runs meanwhile (FATHOM_CAP_ASYNCHRONOUS), otherwise a copy in pinned memory that
// stands for whichever device memory it is asked for. The former costs nothing but the calls.
#pragma once

#include <cstddef>
#include <utility>

#include "base/result.h"
#include "device/device.h"

namespace fathom::models::deepseek_v3 {

class Staging {
 public:
  Staging() = default;
  // Whether the host sees the device's memory itself.
  static bool is_in_place(const device::Device& device) {
    return device.host_memory() && !device.asynchronous();
  }
  // For device memory of at most `bytes`. `device` must outlive it.
  static Result<Staging> make(device::Device& device, size_t bytes);

  // Where the host finds the first byte of `memory`. What was written there may be replaced after
  // the next synchronize().
  template <typename T>
  T* host(T* memory) const {
    return is_in_place(*device_) ? memory : static_cast<T*>(copy_.data());
  }

  // Queued: bytes [offset, offset + bytes) of `memory` are at host(memory) after the next
  // synchronize(); what is at host(memory) goes to `memory`.
  Status fetch(const void* memory, size_t bytes, size_t offset = 0);
  Status put(void* memory, size_t bytes, size_t offset = 0);

  // Pinned memory that it takes.
  size_t bytes() const { return copy_.size(); }

 private:
  device::Device* device_ = nullptr;
  device::HostBuffer copy_;
};

}  // namespace fathom::models::deepseek_v3
