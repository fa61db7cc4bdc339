#include "engine/schedule/replica_schedulers.h"

#include <algorithm>
#include <limits>

namespace fathom::engine {
namespace {

// What a sequence that is being answered costs the others, in rows: it will be there for a while.
constexpr int64_t kRowsOfAnAnswer = 64;

}  // namespace

ReplicaSchedulers::ReplicaSchedulers(int64_t count, const SchedulerLimits& limits,
                                     const PrefixCacheOptions& cache, int64_t num_blocks)
    : block_size_(limits.block_size) {
  const PrefixKeys keys = random_prefix_keys();
  for (int64_t i = 0; i < count; ++i) {
    replicas_.push_back(std::make_unique<Replica>(limits, cache, keys, num_blocks));
  }
  step_.reserve(static_cast<size_t>(max_running()));
}

void ReplicaSchedulers::place(Sequence& sequence) {
  if (replicas_.size() == 1) return;
  const auto count = static_cast<int64_t>(replicas_.size());
  int64_t fewest = std::numeric_limits<int64_t>::max();
  const int64_t first = last_placed_ + 1;  // equal ones take turns, so that all caches are used
  for (int64_t i = first; i < first + count; ++i) {
    const int64_t rows = rows_in_the_way(*replicas_[static_cast<size_t>(i % count)], sequence);
    if (rows >= fewest) continue;
    fewest = rows;
    last_placed_ = i % count;
  }
  sequence.replica = static_cast<int32_t>(last_placed_);
}

int64_t ReplicaSchedulers::rows_in_the_way(Replica& replica, Sequence& sequence) const {
  const int64_t cached = replica.cache.match(sequence).blocks * block_size_;
  const Scheduler& scheduler = replica.scheduler;
  const auto expected = static_cast<int64_t>(replica.expected.size());
  return scheduler.unread_rows() + sequence.remaining() - cached +
         kRowsOfAnAnswer * (scheduler.num_running() + scheduler.num_waiting() + expected);
}

std::span<const Chunk> ReplicaSchedulers::next_step() {
  step_.clear();
  for (const auto& replica : replicas_) {
    if (!replica->scheduler.has_work()) continue;
    const auto chunks = replica->scheduler.next_step();
    step_.insert(step_.end(), chunks.begin(), chunks.end());
  }
  return step_;
}

std::span<const Chunk> ReplicaSchedulers::next_step_ahead() {
  step_.clear();
  for (const auto& replica : replicas_) {
    if (!replica->scheduler.make_places()) return {};
  }
  for (const auto& replica : replicas_) {
    const auto chunks = replica->scheduler.deal_out_step();
    step_.insert(step_.end(), chunks.begin(), chunks.end());
  }
  return step_;
}

bool ReplicaSchedulers::has_work() const {
  return std::ranges::any_of(replicas_,
                             [](const auto& replica) { return replica->scheduler.has_work(); });
}

int64_t ReplicaSchedulers::max_running() const {
  return static_cast<int64_t>(replicas_.size()) * replicas_.front()->scheduler.max_running();
}

int64_t ReplicaSchedulers::num_running() const {
  int64_t sum = 0;
  for (const auto& replica : replicas_) sum += replica->scheduler.num_running();
  return sum;
}

uint64_t ReplicaSchedulers::preemptions() const {
  uint64_t sum = 0;
  for (const auto& replica : replicas_) sum += replica->scheduler.preemptions();
  return sum;
}

int64_t ReplicaSchedulers::blocks() const {
  return static_cast<int64_t>(replicas_.size()) * replicas_.front()->pool.total();
}

int64_t ReplicaSchedulers::used_blocks() const {
  int64_t sum = 0;
  for (const auto& replica : replicas_) sum += replica->pool.used();
  return sum;
}

}  // namespace fathom::engine
