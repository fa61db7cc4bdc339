// The part of Health that names the lost rank.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "comm/health.h"

namespace fathom::comm {
namespace {

double seconds(int64_t milliseconds) {
  return static_cast<double>(milliseconds) / 1000;
}

const char* text_of(Loss loss) {
  switch (loss) {
    case Loss::kNone:
      break;
    case Loss::kEnded:
      return "its process has ended";
    case Loss::kStopped:
      return "its process is stopped";
    case Loss::kSilent:
      return "it is silent";
    case Loss::kLate:
      return "it is late";
    case Loss::kMismatch:
      return "it is in another operation";
  }
  return "it is lost";
}

}  // namespace

std::string Health::name(int rank) const {
  const std::string& place = peers_[static_cast<size_t>(rank)].place;
  return fmt::format("rank {} ({})", rank, place.empty() ? "host not known yet" : place);
}

// "all_reduce experts_out of step 12, in it for 1.2 s".
std::string Health::last_operation(int rank) const {
  const Progress& progress = peers_[static_cast<size_t>(rank)].progress;
  if (progress.operation == Operation::kNone) return "none yet";
  const bool inside = progress.phase == Phase::kWaiting;
  return fmt::format("{}, {} {:.1f} s", operation_text(progress),
                     inside ? "in it for" : "done since", seconds(progress.phase_ms));
}

Finding Health::make(int rank, Loss loss, const std::string& why) const {
  return {rank, loss,
          fmt::format(
              "lost {}: {}; its last known operation: {}; seen by rank {}, whose last operation is "
              "{}",
              name(rank), why, last_operation(rank), rank_,
              operation_text(peers_[static_cast<size_t>(rank_)].progress))};
}

Finding Health::blame(int rank, Loss loss, const std::string& why) const {
  const std::lock_guard lock(mutex_);
  return make(rank, loss, why);
}

std::string Health::quietest() const {
  const std::lock_guard lock(mutex_);
  if (!places_known_) return "the ranks had not met yet";
  int quietest = rank_ == 0 ? 1 : 0;
  for (int rank = 0; rank < size(); ++rank) {
    if (rank != rank_ && silence(rank) > silence(quietest)) quietest = rank;
  }
  return fmt::format("the longest silence is that of {}, {:.1f} s; its last known operation: {}",
                     name(quietest), seconds(silence(quietest).count()), last_operation(quietest));
}

std::optional<Finding> Health::judge(Milliseconds patience) const {
  const std::lock_guard lock(mutex_);
  if (!places_known_) return std::nullopt;
  if (auto found = accused_by_others()) return found;
  if (auto found = silent(patience)) return found;
  return mismatched();
}

std::optional<Finding> Health::accused_by_others() const {
  for (const Peer& peer : peers_) {
    const Progress& news = peer.progress;
    if (news.rank == rank_ || news.accused < 0 || news.accused >= size()) continue;
    if (news.accused == rank_) {
      return Finding{rank_, news.loss,
                     fmt::format("this rank, {}, was lost to the others: rank {} found: {}",
                                 name(rank_), news.rank, text_of(news.loss))};
    }
    return make(news.accused, news.loss,
                fmt::format("{}, as rank {} found", text_of(news.loss), news.rank));
  }
  return std::nullopt;
}

// All news comes by way of rank 0: while that one is silent the others' silence means nothing.
std::optional<Finding> Health::silent(Milliseconds patience) const {
  const auto why = [&](int rank) {
    return fmt::format("no sign of life for {:.1f} s (stopped, swapped out or cut off)",
                       seconds(silence(rank).count()));
  };
  for (const Peer& peer : peers_) {
    const int rank = peer.progress.rank;
    if (rank == rank_ || peer.progress.phase == Phase::kFinished) continue;
    if (silence(rank) > patience) return make(rank, Loss::kSilent, why(rank));
    if (rank == 0 && silence(0) > patience / 2) return std::nullopt;
  }
  return std::nullopt;
}

std::optional<Finding> Health::mismatched() const {
  const Progress& own = peers_[static_cast<size_t>(rank_)].progress;
  if (own.phase != Phase::kWaiting || own.group == 0) return std::nullopt;
  std::vector<const Progress*> same_place;  // in or behind the same collective of the group
  for (const Peer& peer : peers_) {
    const Progress& other = peer.progress;
    if (other.group == own.group && other.count == own.count) same_place.push_back(&other);
  }
  const auto votes = [&](const Progress* candidate) {
    return std::ranges::count_if(
        same_place, [&](const Progress* each) { return each->signature == candidate->signature; });
  };
  // max_element takes the first of several: the lowest rank's counts, on every rank.
  const Progress* usual = *std::ranges::max_element(same_place, {}, votes);
  const auto group_size = static_cast<size_t>(own.group_size);
  const bool certain = 2 * static_cast<size_t>(votes(usual)) > group_size;
  if (!certain && same_place.size() < group_size) return std::nullopt;  // others may yet decide
  for (const Progress* each : same_place) {
    if (each->signature == usual->signature) continue;
    const std::string expected = operation_text(*usual);
    const std::string got = operation_text(*each);
    return make(each->rank, Loss::kMismatch,
                fmt::format("expected {} as on rank {}, got {}{}", expected, usual->rank, got,
                            expected == got ? " of another size" : ""));
  }
  return std::nullopt;
}

// A rank that is late may itself wait for another, in an operation of another group. So whoever
// computes is blamed before whoever waits.
Finding Health::blame_late(std::span<const int> awaited, Milliseconds deadline) const {
  const std::lock_guard lock(mutex_);
  const auto waits = [&](int rank) {
    return peers_[static_cast<size_t>(rank)].progress.phase == Phase::kWaiting;
  };
  std::vector<int> culprits;
  for (const int rank : awaited) {
    if (!waits(rank)) culprits.push_back(rank);
  }
  if (culprits.empty() && places_known_) {
    for (int rank = 0; rank < size(); ++rank) {
      const bool computes = peers_[static_cast<size_t>(rank)].progress.phase == Phase::kBetween;
      if (rank != rank_ && computes) culprits.push_back(rank);
    }
  }
  if (culprits.empty()) culprits.assign(awaited.begin(), awaited.end());
  constexpr size_t kNamed = 4;
  std::vector<std::string> others;
  for (size_t i = 1; i < std::min(culprits.size(), kNamed); ++i) {
    others.push_back(name(culprits[i]) + ", last operation " + last_operation(culprits[i]));
  }
  std::string why = fmt::format("not in {} within {:.1f} s",
                                operation_text(peers_[static_cast<size_t>(rank_)].progress),
                                seconds(deadline.count()));
  if (!others.empty()) why += fmt::format(" (nor {})", fmt::join(others, "; nor "));
  if (culprits.size() > kNamed) why += fmt::format(" (nor {} more)", culprits.size() - kNamed);
  return make(culprits.front(), Loss::kLate, why);
}

}  // namespace fathom::comm
