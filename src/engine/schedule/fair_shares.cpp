#include "engine/schedule/fair_shares.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace fathom::engine {

void FairShares::join(Sequence& sequence) {
  const auto [owner, is_new] = owners_.try_emplace(sequence.owner);
  if (is_new && owners_.size() > 1) {
    int64_t least = std::numeric_limits<int64_t>::max();
    for (const auto& [id, share] : owners_) {
      if (id != sequence.owner) least = std::min(least, share.rows_read);
    }
    owner->second.rows_read = least;
  }
  sequence.owner_share = &owner->second;
  sequence.request_share = &requests_[sequence.request];
  ++sequence.owner_share->sequences;
  ++sequence.request_share->sequences;
}

void FairShares::leave(Sequence& sequence) {
  if (--sequence.owner_share->sequences == 0) owners_.erase(sequence.owner);
  if (--sequence.request_share->sequences == 0) requests_.erase(sequence.request);
  sequence.owner_share = nullptr;
  sequence.request_share = nullptr;
}

bool FairShares::next_before(const Sequence& a, const Sequence& b) {
  const auto rank = [](const Sequence& each) {
    return std::tuple(each.priority, each.owner_share->running, each.request_share->running,
                      each.id);
  };
  return rank(a) < rank(b);
}

bool FairShares::has_more(const Sequence& a, const Sequence& b) {
  const auto more = [](const Share& mine, const Share& other) {
    return mine.running >= other.running + 2;
  };
  return a.owner == b.owner ? more(*a.request_share, *b.request_share)
                            : more(*a.owner_share, *b.owner_share);
}

bool FairShares::yields_before(const Sequence& a, const Sequence& b) {
  const auto rank = [](const Sequence& each) {
    return std::tuple(each.priority, each.owner_share->running, each.request_share->running);
  };
  return rank(a) >= rank(b);
}

void FairShares::count_running(Sequence& sequence, int64_t change) {
  sequence.owner_share->running += change;
  sequence.request_share->running += change;
}

}  // namespace fathom::engine
