#include "comm/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace fathom::comm {

Health::Health(int rank, int size) : rank_(rank), peers_(static_cast<size_t>(size)) {
  for (int i = 0; i < size; ++i) peers_[static_cast<size_t>(i)].progress.rank = i;
}

void Health::tick(Milliseconds passed) {
  now_ms_ += passed.count();
}

void Health::set_places(std::vector<std::string> places) {
  const std::lock_guard lock(mutex_);
  FATHOM_CHECK(places.size() == peers_.size(), "set_places: expected one a rank");
  for (size_t i = 0; i < places.size(); ++i) {
    peers_[i].place = std::move(places[i]);
    peers_[i].heard = now();
  }
  places_known_ = true;
}

void Health::enter(const Progress& operation) {
  const std::lock_guard lock(mutex_);
  Progress& own = peers_[static_cast<size_t>(rank_)].progress;
  const int rank = own.rank;
  own = operation;
  own.rank = rank;
  own.phase = Phase::kWaiting;
  phase_began_ = now();
}

void Health::leave() {
  const std::lock_guard lock(mutex_);
  peers_[static_cast<size_t>(rank_)].progress.phase = Phase::kBetween;
  phase_began_ = now();
}

void Health::finish() {
  const std::lock_guard lock(mutex_);
  peers_[static_cast<size_t>(rank_)].progress.phase = Phase::kFinished;
  changed_.notify_all();
}

Progress Health::snapshot() const {
  Progress own = peers_[static_cast<size_t>(rank_)].progress;
  own.phase_ms = static_cast<int32_t>((now() - phase_began_).count());
  if (finding_) {
    own.accused = finding_->rank;
    own.loss = finding_->loss;
  }
  return own;
}

Progress Health::own() const {
  const std::lock_guard lock(mutex_);
  return snapshot();
}

void Health::hear(const Progress& news, Milliseconds age) {
  const std::lock_guard lock(mutex_);
  if (news.rank < 0 || news.rank >= size() || news.rank == rank_) return;
  Peer& peer = peers_[static_cast<size_t>(news.rank)];
  peer.progress = news;
  peer.heard = now() - age;
}

std::vector<Progress> Health::table() const {
  const std::lock_guard lock(mutex_);
  std::vector<Progress> all;
  all.reserve(peers_.size());
  for (const Peer& peer : peers_) {
    all.push_back(peer.progress.rank == rank_ ? snapshot() : peer.progress);
    all.back().age_ms =
        peer.progress.rank == rank_ ? 0 : static_cast<int32_t>((now() - peer.heard).count());
  }
  return all;
}

bool Health::others_finished() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(peers_, [&](const Peer& peer) {
    return peer.progress.rank == rank_ || peer.progress.phase == Phase::kFinished;
  });
}

bool Health::finished(int rank) const {
  const std::lock_guard lock(mutex_);
  return peers_[static_cast<size_t>(rank)].progress.phase == Phase::kFinished;
}

void Health::declare(Finding finding) {
  const std::lock_guard lock(mutex_);
  if (finding_) return;
  finding_ = std::move(finding);
  broken_.store(true, std::memory_order_release);
  changed_.notify_all();
}

std::optional<Finding> Health::finding() const {
  const std::lock_guard lock(mutex_);
  return finding_;
}

Error Health::error() const {
  const auto found = finding();
  FATHOM_CHECK(found.has_value(), "health: expected a finding");
  return {ErrorCode::kUnavailable, found->text,
          found->rank < 0 ? std::string() : fmt::format("rank {}", found->rank)};
}

void Health::wait_for_change(Milliseconds time) {
  std::unique_lock lock(mutex_);
  const auto phase = peers_[static_cast<size_t>(rank_)].progress.phase;
  const bool found = finding_.has_value();
  changed_.wait_for(lock, time, [&] {
    return finding_.has_value() != found ||
           peers_[static_cast<size_t>(rank_)].progress.phase != phase;
  });
}

}  // namespace fathom::comm
