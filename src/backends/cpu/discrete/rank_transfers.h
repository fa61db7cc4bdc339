// Bytes between this rank and the others of its group, all of one exchange at the same time.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "backends/cpu/discrete/meeting_point.h"
#include "base/result.h"

struct pollfd;

namespace fathom::cpu::discrete {

class RankTransfers {
 public:
  RankTransfers(RankSockets sockets, int rank);
  ~RankTransfers();

  int rank() const { return rank_; }
  int ranks() const { return static_cast<int>(sockets_.size()); }

  // At most one of each to and from a rank until wait(); the rank itself is none of them.
  void send(int to, const void* data, size_t bytes);
  void receive(int from, void* data, size_t bytes);
  // Until all of it is done. Error: a rank has ended, or cancel() was called.
  Status wait();

  // Ends wait() and every later one, here and on the other ranks. From any thread.
  void cancel();

 private:
  struct Part {
    std::byte* data = nullptr;
    size_t left = 0;
  };

  // Moves what can be moved now; whether anything was.
  Result<bool> move(size_t peer);
  Status wait_for_sockets();
  Error lost(size_t peer) const;

  RankSockets sockets_;
  const int rank_;
  std::vector<Part> sending_, receiving_;  // by rank
  std::vector<pollfd> watched_;            // kept, so that nothing is allocated
  std::atomic<bool> cancelled_ = false;
};

}  // namespace fathom::cpu::discrete
