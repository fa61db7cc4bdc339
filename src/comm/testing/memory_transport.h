// Ranks as threads of one process, whose messages go through memory.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "comm/transport.h"

namespace fathom::comm {

class MemorySwitch;

// All ranks' transports. Messages up to `eager` bytes are sent at once, longer ones when their
// receiver takes them, as MPI does.
class MemoryJob {
 public:
  explicit MemoryJob(int size, size_t eager = 4096);
  ~MemoryJob();

  Transport& transport(int rank) { return *transports_[static_cast<size_t>(rank)]; }
  // From now on nothing this rank sends on the channel arrives.
  void cut(int rank, Channel channel);

 private:
  std::unique_ptr<MemorySwitch> switch_;
  std::vector<std::unique_ptr<Transport>> transports_;
};

}  // namespace fathom::comm
