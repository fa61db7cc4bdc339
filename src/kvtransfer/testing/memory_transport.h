// A network in memory: transports that find each other by port, and what can go wrong between them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>

#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {

class MemoryTransport;

// Outlives its transports.
class MemoryNetwork {
 public:
  using Tamper = std::function<void(std::vector<std::byte>&)>;

  std::unique_ptr<Transport> make();
  // Whoever listens there is gone for all others, and can no more be reached.
  void cut(uint16_t port);
  // Changes messages before they are sent.
  void set_tamper(Tamper tamper);

 private:
  friend class MemoryTransport;
  struct End {
    MemoryTransport* transport = nullptr;  // null: closed
    PeerId other = 0;
  };

  std::recursive_mutex mutex_;
  Tamper tamper_;
  PeerId last_ = 0;
  std::map<PeerId, End> ends_;  // by the id that its transport knows the other one by
  std::map<uint16_t, MemoryTransport*> listeners_;
};

}  // namespace fathom::kvtransfer
