// One opened device whose memory is its own.
#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>

#include "backends/cpu/cpu_device.h"
#include "backends/cpu/discrete/comms.h"
#include "backends/cpu/discrete/device_memory.h"
#include "backends/cpu/discrete/options.h"
#include "backends/cpu/discrete/work_queue.h"
#include "device/last_error.h"

namespace fathom::cpu::discrete {

struct Device : fathom_device {
  using fathom_device::fathom_device;
  ~Device() {
    comms.abort_all();
    for (WorkQueue& queue : queues) queue.stop();  // one may wait for another
  }

  // Whether the next record that is queued is the one that the device is lost at.
  bool loses_at_next_record() { return ++records == options.lose_at; }

  Options options;
  std::atomic<uint64_t> records = 0;  // that were queued so far
  std::atomic<bool> lost = false;
  DeviceMemory memory;
  std::mutex one_kernel;  // held by the one that has the threads
  Comms comms;
  // Those that were destroyed stay to be created again, for events point to them.
  std::deque<WorkQueue> queues;
};

// A point in a queue.
struct Event : fathom_event {
  WorkQueue* queue = nullptr;  // that it was recorded on last
  uint64_t point = 0;
  std::atomic<std::chrono::steady_clock::time_point> reached = {};
};

inline fathom_status tell_loss() {
  return device::fail(FATHOM_DEVICE_LOST,
                      "cpu-discrete: the chip is lost, as its option lose wants it");
}

inline Device& device_of(fathom_device* device) {
  return *static_cast<Device*>(device);
}
inline WorkQueue& queue_of(fathom_stream* stream) {
  return *static_cast<WorkQueue*>(stream);
}
inline Event& event_of(fathom_event* event) {
  return *static_cast<Event*>(event);
}

}  // namespace fathom::cpu::discrete
