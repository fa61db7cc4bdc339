// Groups of ranks as the contract's comm_* functions know them.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <list>
#include <mutex>
#include <optional>
#include <vector>

#include "backends/cpu/discrete/meeting_point.h"
#include "backends/cpu/discrete/rank_collectives.h"
#include "device/abi.h"

struct fathom_comm {};

namespace fathom::cpu::discrete {

// Ranks of a group at most: what a record has room for.
inline constexpr int kMostRanks = 32;

struct Comm : fathom_comm {
  Comm(RankSockets sockets, int rank_of_group)
      : rank(rank_of_group),
        ranks(static_cast<int>(sockets.size())),
        sent(sockets.size()),
        received(sockets.size()),
        collectives(std::in_place, std::move(sockets), rank_of_group) {}

  const int rank;
  const int ranks;
  // Calls that were queued, by the thread that queues.
  uint64_t called = 0;
  std::vector<uint64_t> sent, received;  // messages, by rank

  std::mutex mutex;                            // of what follows; held by the call that runs
  std::optional<RankCollectives> collectives;  // none once it is destroyed
};

// What a device has of them.
class Comms {
 public:
  // Ends what waits in queues for other ranks.
  void abort_all() {
    for (Comm& comm : comms_) abort(comm);
  }
  // From any thread, while the group is there.
  static void abort(Comm& comm) {
    if (comm.collectives) comm.collectives->abort();
  }

  fathom_status make_id(fathom_comm_id* id);
  fathom_status create(const fathom_comm_id& id, int32_t rank, int32_t ranks, int32_t deadline_ms,
                       fathom_comm** comm);
  static void destroy(Comm& comm);

 private:
  std::list<MeetingPoint> points_;  // of ids that were made and not used yet
  std::deque<Comm> comms_;          // those that were destroyed, too: records may point to them
};

}  // namespace fathom::cpu::discrete
