// Work that a device recorded.
#pragma once

#include <utility>

#include "device/abi.h"

namespace fathom::device {

class Device;

// Made by Device::record_graph(), and ended before the device.
class Graph {
 public:
  Graph() = default;
  Graph(Graph&& other) noexcept { *this = std::move(other); }
  Graph& operator=(Graph&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Graph();

 private:
  friend class Device;
  Graph(const Device* device, fathom_graph* handle) : device_(device), handle_(handle) {}

  const Device* device_ = nullptr;
  fathom_graph* handle_ = nullptr;
};

}  // namespace fathom::device
