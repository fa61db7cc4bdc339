// How many requests wait to be begun, and whose they are. Each owner has as many places as any
// other, so nobody's flood fills another's queue. Of an owner's places no request takes more than
// are left free (Choudhury and Hahne's dynamic threshold): however many sequences one request has,
// it leaves at least half of what it found, so the next one is let in.
#pragma once

#include <cstdint>
#include <unordered_map>

namespace fathom::engine {

class WaitingRoom {
 public:
  explicit WaitingRoom(int64_t places) : places_(places) {}  // of each owner

  // Whether `more` sequences of that request may wait, too; 0 is a request without any so far.
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
