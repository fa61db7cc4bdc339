// One opened simulated chip, its stream and its events.
#pragma once

#include <chrono>
#include <map>
#include <mutex>

#include "backends/sim/cost_model.h"
#include "device/abi.h"

struct fathom_device {
  explicit fathom_device(const fathom::sim::CostModel& model) : costs(model) {}

  const fathom::sim::CostModel costs;
  std::mutex mutex;
  std::map<void*, size_t> mapped;  // memory handed out, and its bytes
};

// Kernels run in the call that queues them; only their time is queued.
struct fathom_stream {
  // When the last kernel ends, by the chip's clock.
  std::chrono::duration<double> ready = {};
};

struct fathom_event {
  std::chrono::duration<double> recorded = {};
};

namespace fathom::sim {

// When work that is queued now can begin at the earliest: by the wall clock no earlier than now,
// by the virtual one when the work before it ends.
inline std::chrono::duration<double> earliest(const fathom_device& device,
                                              const fathom_stream& stream) {
  if (!device.costs.wall_clock) return stream.ready;
  const std::chrono::duration<double> now = std::chrono::steady_clock::now().time_since_epoch();
  return std::max(stream.ready, now);
}

}  // namespace fathom::sim
