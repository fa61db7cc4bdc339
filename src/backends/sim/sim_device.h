// One opened simulated chip, its stream and its events: what the contract's handles are here. They
// have names of their own, for another backend in the same binary has its own, too.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <mutex>

#include "backends/sim/cost_model.h"
#include "backends/sim/host_copies.h"
#include "backends/sim/logit_rows.h"
#include "device/abi.h"

namespace fathom::sim {

struct Device {
  explicit Device(const CostModel& model)
      : costs(model), asynchronous(model.wall_clock && !model.is_free()) {}

  const CostModel costs;
  // Whether calls return before the time of their work is over. What it does to the chip's memory
  // is done in the call all the same: the host cannot tell.
  const bool asynchronous;
  HostCopies copies;
  LogitRows logits;
  std::mutex mutex;
  std::map<void*, size_t> mapped;  // memory handed out, and its bytes
};

// Kernels run in the call that queues them; only their time is queued, and what it delays
// (host_copies.h).
struct Stream {
  // When the last kernel ends, by the chip's clock.
  Seconds ready = {};
};

struct Event {
  Seconds recorded = {};
};

inline Device& device_of(fathom_device* handle) {
  return *reinterpret_cast<Device*>(handle);
}
inline Stream& stream_of(fathom_stream* handle) {
  return *reinterpret_cast<Stream*>(handle);
}
inline Event& event_of(fathom_event* handle) {
  return *reinterpret_cast<Event*>(handle);
}

inline Seconds wall_clock_now() {
  return std::chrono::steady_clock::now().time_since_epoch();
}

// When work that is queued now can begin at the earliest: by the wall clock no earlier than now,
// by the virtual one when the work before it ends.
inline Seconds earliest(const Device& device, const Stream& stream) {
  return device.costs.wall_clock ? std::max(stream.ready, wall_clock_now()) : stream.ready;
}

// The stream is busy for as long as the work costs.
inline void add_work(const Device& device, Stream& stream, const Work& work) {
  if (device.costs.is_free()) return;
  stream.ready = earliest(device, stream) + Seconds(device.costs.seconds(work));
}

}  // namespace fathom::sim
