// What each owner, and each request of theirs, has of a scheduler. An API request may be many
// sequences (its prompts times n); all of them are one request here.
#pragma once

#include <cstdint>
#include <unordered_map>

#include "engine/sequence/sequence.h"

namespace fathom::engine {

struct Share {
  int64_t sequences = 0;  // running and waiting
  int64_t running = 0;
  int64_t rows_read = 0;  // of prompts; a newcomer begins with the least that another has
};

class FairShares {
 public:
  // A sequence's shares are there from join() to leave().
  void join(Sequence& sequence);
  void leave(Sequence& sequence);

  static void begin(Sequence& sequence) { count_running(sequence, 1); }
  static void pause(Sequence& sequence) { count_running(sequence, -1); }
  static void read(Sequence& sequence, int64_t rows) { sequence.owner_share->rows_read += rows; }

  // Whether the waiting `a` is to run before `b`: by priority, then by whose owner has fewer
  // running, then by whose request has, then by arrival.
  static bool next_before(const Sequence& a, const Sequence& b);
  // Whether the running `a` has so much more than the waiting `b` that it still has no less if it
  // gives its place to it: of their owners' sequences, or of their requests' where the owner is
  // one.
  static bool has_more(const Sequence& a, const Sequence& b);
  // Whether `a`, which is later in order, gives its place or its memory rather than `b`: by
  // priority, then by whose owner has more running, then by whose request has.
  static bool yields_before(const Sequence& a, const Sequence& b);

 private:
  static void count_running(Sequence& sequence, int64_t change);

  std::unordered_map<uint64_t, Share> owners_;    // of those that have sequences
  std::unordered_map<uint64_t, Share> requests_;  // likewise
};

}  // namespace fathom::engine
