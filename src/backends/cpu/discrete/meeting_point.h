// How the ranks of a group find each other: one of them makes a place on this host, whose address
// is the group's id, and there introduces every two of them to each other by a pair of sockets.
// Nothing of it is in the file system: what a rank that ends has open goes with it.
#pragma once

#include <unistd.h>

#include <chrono>
#include <utility>
#include <vector>

#include "base/result.h"
#include "device/abi.h"

namespace fathom::cpu::discrete {

class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  Socket(Socket&& other) noexcept { *this = std::move(other); }
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~Socket() {
    if (is_open()) close(descriptor_);
  }

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// To each rank of the group, none of them blocking; the rank's own is not open.
using RankSockets = std::vector<Socket>;
using Deadline = std::chrono::steady_clock::time_point;

class MeetingPoint {
 public:
  static Result<MeetingPoint> open();

  const fathom_comm_id& id() const { return id_; }
  // Of the rank that opened it: waits for the others.
  Result<RankSockets> receive(int rank, int ranks, Deadline deadline) const;

 private:
  fathom_comm_id id_ = {};
  Socket listener_;
};

// Of every other rank: waits until all have come.
Result<RankSockets> meet_at(const fathom_comm_id& id, int rank, int ranks, Deadline deadline);

}  // namespace fathom::cpu::discrete
