// One opened device, as the host side of every dialect has it.
#pragma once

#include <fmt/format.h>

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <utility>

#include "backends/gpu/host/driver.h"
#include "device/last_error.h"

namespace fathom::gpu {

struct Device {
  std::unique_ptr<Chip> chip;
  std::string name;  // of the backend, for messages
  std::atomic<bool> is_lost = false;
  uint64_t* checksum_parts = nullptr;  // device memory

  // Runs a call of the chip, unless it is lost; keeps it if it is lost now.
  template <typename Call>
  fathom_status ask(Call&& call) {
    if (is_lost) {
      return device::fail(FATHOM_DEVICE_LOST,
                          fmt::format("{}: the chip is lost: restart the process", name));
    }
    try {
      const fathom_status status = call(*chip);
      if (status == FATHOM_DEVICE_LOST) is_lost = true;
      return status;
    } catch (const std::exception& error) {
      return device::fail(FATHOM_NO_MEMORY, fmt::format("{}: {}", name, error.what()));
    }
  }
};

inline Device& device_of(fathom_device* device) {
  return *reinterpret_cast<Device*>(device);
}
inline Queue& queue_of(fathom_stream* stream) {
  return *reinterpret_cast<Queue*>(stream);
}
inline Event& event_of(fathom_event* event) {
  return *reinterpret_cast<Event*>(event);
}
inline Graph& graph_of(fathom_graph* graph) {
  return *reinterpret_cast<Graph*>(graph);
}

}  // namespace fathom::gpu
