// What a rank's operations have taken so far, waiting for other ranks included.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace fathom::comm {

// One thread counts, any may read.
struct Usage {
  std::atomic<int64_t> nanoseconds{0};
  std::atomic<int64_t> sent_bytes{0};
};

}  // namespace fathom::comm
