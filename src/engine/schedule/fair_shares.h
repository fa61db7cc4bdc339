// How much of a scheduler each owner and each API request uses. An API request may be many
// sequences (its prompts times n); they count as one request here.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/sequence/sequence.h"

namespace fathom::engine {

struct Share {
  int64_t sequences = 0;  // running and waiting
  int64_t running = 0;
  int64_t rows_read = 0;  // of prompts; a newcomer starts with the smallest count of the others
};

class FairShares {
 public:
  // A sequence's shares exist from join() to leave().
  void join(Sequence& sequence);
  void leave(Sequence& sequence);

  static void begin(Sequence& sequence) { count_running(sequence, 1); }
  static void pause(Sequence& sequence) { count_running(sequence, -1); }
  static void read(Sequence& sequence, int64_t rows) { sequence.owner_share->rows_read += rows; }

  // Whether the waiting `a` runs before the waiting `b`: by priority, then by fewer running
  // sequences of the owner, then of the request, then by arrival.
  static bool next_before(const Sequence& a, const Sequence& b);
  // Whether `a`, which runs, has at least two more running sequences than `b`, which waits, so that
  // it still has no fewer after giving its place to `b`. Counted by owner, or by request if both
  // have the same owner.
  static bool has_more(const Sequence& a, const Sequence& b);
  // Whether `a`, which is later in order, is preempted rather than `b`: by priority, then by more
  // running sequences of the owner, then of the request.
  static bool yields_before(const Sequence& a, const Sequence& b);

 private:
  static void count_running(Sequence& sequence, int64_t change);

  std::unordered_map<uint64_t, Share> owners_;    // of those that have sequences
  std::unordered_map<uint64_t, Share> requests_;  // likewise
};

}  // namespace fathom::engine
