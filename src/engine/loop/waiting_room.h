// Counts waiting requests by owner and bounds them. Every owner has the same number of places, so a
// flood by one owner fills nobody else's queue. No request may take more of its owner's places than
// it leaves free (the dynamic threshold of Choudhury and Hahne): however many sequences it has, it
// leaves at least half of the free places, so the next request is admitted.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace fathom::engine {

class WaitingRoom {
 public:
  explicit WaitingRoom(int64_t places) : places_(places) {}  // per owner

  // Whether `more` sequences of the request may wait; request 0 has none so far.
  bool has_room(uint64_t owner, uint64_t request, int64_t more = 1) const {
    const int64_t before_last = more - 1;
    return count(requests_, request) + before_last < places_ - waiting(owner) - before_last;
  }
  void enter(uint64_t owner, uint64_t request) {
    ++owners_[owner];
    ++requests_[request];
  }
  void leave(uint64_t owner, uint64_t request) {
    take_one(owners_, owner);
    take_one(requests_, request);
  }
  int64_t waiting(uint64_t owner) const { return count(owners_, owner); }

 private:
  using Counts = std::unordered_map<uint64_t, int64_t>;  // nobody with none

  static int64_t count(const Counts& counts, uint64_t id) {
    const auto found = counts.find(id);
    return found == counts.end() ? 0 : found->second;
  }
  static void take_one(Counts& counts, uint64_t id) {
    const auto found = counts.find(id);
    if (--found->second == 0) counts.erase(found);
  }

  int64_t places_;
  Counts owners_;
  Counts requests_;
};

}  // namespace fathom::engine
