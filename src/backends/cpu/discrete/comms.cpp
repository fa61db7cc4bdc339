#include "backends/cpu/discrete/comms.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include "backends/cpu/checks/check_parts.h"

namespace fathom::cpu::discrete {
namespace {

fathom_status tell_comm(const Error& error) {
  const bool wrong = error.code == ErrorCode::kInvalidArgument;
  return device::fail(wrong ? FATHOM_INVALID : FATHOM_INTERNAL, "cpu-discrete: " + error.message);
}

bool are_same(const fathom_comm_id& a, const fathom_comm_id& b) {
  return std::memcmp(a.bytes, b.bytes, sizeof(a.bytes)) == 0;
}

}  // namespace

fathom_status Comms::make_id(fathom_comm_id* id) {
  auto point = MeetingPoint::open();
  if (!point) return tell_comm(point.error());
  *id = point->id();
  points_.push_back(std::move(*point));
  return FATHOM_OK;
}

fathom_status Comms::create(const fathom_comm_id& id, int32_t rank, int32_t ranks,
                            int32_t deadline_ms, fathom_comm** comm) {
  if (ranks < 1 || rank < 0 || rank >= ranks) {
    return invalid("cpu-discrete: comm_create: expected a rank of 1 or more, got {} of {}", rank,
                   ranks);
  }
  if (ranks > kMostRanks) {
    return unsupported("cpu-discrete: comm_create: expected at most {} ranks, got {}", kMostRanks,
                       ranks);
  }
  const Deadline deadline =
      std::chrono::steady_clock::now() + std::chrono::milliseconds(deadline_ms);
  const auto own = std::ranges::find_if(
      points_, [&](const MeetingPoint& point) { return are_same(point.id(), id); });
  try {
    auto sockets = own != points_.end() ? own->receive(rank, ranks, deadline)
                                        : meet_at(id, rank, ranks, deadline);
    if (own != points_.end()) points_.erase(own);
    if (!sockets) return tell_comm(sockets.error());
    *comm = &comms_.emplace_back(std::move(*sockets), rank);
  } catch (const std::exception& error) {
    return device::fail(FATHOM_NO_MEMORY,
                        fmt::format("cpu-discrete comm_create: {}", error.what()));
  }
  return FATHOM_OK;
}

// Behind the call that runs; those that are queued find nothing.
void Comms::destroy(Comm& comm) {
  abort(comm);
  const std::lock_guard lock(comm.mutex);
  comm.collectives.reset();
}

}  // namespace fathom::cpu::discrete
