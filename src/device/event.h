// A point in the queue of a device's work.
#pragma once

#include <utility>

#include "device/abi.h"

namespace fathom::device {

class Device;

// Made by Device::create_event(), and ended before the device. It stands for the point where it was
// recorded last; one that never was counts as reached.
class Event {
 public:
  Event() = default;
  Event(Event&& other) noexcept { *this = std::move(other); }
  Event& operator=(Event&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Event();

 private:
  friend class Device;
  Event(const Device* device, fathom_event* handle) : device_(device), handle_(handle) {}

  const Device* device_ = nullptr;
  fathom_event* handle_ = nullptr;
};

}  // namespace fathom::device
