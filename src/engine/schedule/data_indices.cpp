#include "engine/schedule/data_indices.h"

#include <algorithm>
#include <limits>

namespace fathom::engine {
namespace {

// What a sequence that is being answered costs the others, in rows: it will be there for a while.
constexpr int64_t kRowsOfAnAnswer = 64;

}  // namespace

DataIndices::DataIndices(int64_t count, const SchedulerLimits& limits,
                         const PrefixCacheOptions& cache, int64_t num_blocks)
    : block_size_(limits.block_size) {
  const PrefixKeys keys = random_prefix_keys();
  for (int64_t i = 0; i < count; ++i) {
    indices_.push_back(std::make_unique<Index>(limits, cache, keys, num_blocks));
  }
  step_.reserve(static_cast<size_t>(max_running()));
}

void DataIndices::place(Sequence& sequence) {
  if (indices_.size() == 1) return;
  const auto count = static_cast<int64_t>(indices_.size());
  int64_t fewest = std::numeric_limits<int64_t>::max();
  const int64_t first = last_placed_ + 1;  // equal ones take turns, so that all caches are used
  for (int64_t i = first; i < first + count; ++i) {
    const int64_t rows = rows_in_the_way(*indices_[static_cast<size_t>(i % count)], sequence);
    if (rows >= fewest) continue;
    fewest = rows;
    last_placed_ = i % count;
  }
  sequence.data_index = static_cast<int32_t>(last_placed_);
}

int64_t DataIndices::rows_in_the_way(Index& index, Sequence& sequence) const {
  const int64_t cached = index.cache.match(sequence).blocks * block_size_;
  const Scheduler& scheduler = index.scheduler;
  const auto expected = static_cast<int64_t>(index.expected.size());
  return scheduler.unread_rows() + sequence.remaining() - cached +
         kRowsOfAnAnswer * (scheduler.num_running() + scheduler.num_waiting() + expected);
}

std::span<const Chunk> DataIndices::next_step() {
  step_.clear();
  for (const auto& index : indices_) {
    if (!index->scheduler.has_work()) continue;
    const auto chunks = index->scheduler.next_step();
    step_.insert(step_.end(), chunks.begin(), chunks.end());
  }
  return step_;
}

std::span<const Chunk> DataIndices::next_step_ahead() {
  step_.clear();
  for (const auto& index : indices_) {
    if (!index->scheduler.make_places()) return {};
  }
  for (const auto& index : indices_) {
    const auto chunks = index->scheduler.deal_out_step();
    step_.insert(step_.end(), chunks.begin(), chunks.end());
  }
  return step_;
}

bool DataIndices::has_work() const {
  return std::ranges::any_of(indices_,
                             [](const auto& index) { return index->scheduler.has_work(); });
}

int64_t DataIndices::max_running() const {
  return static_cast<int64_t>(indices_.size()) * indices_.front()->scheduler.max_running();
}

int64_t DataIndices::num_running() const {
  int64_t sum = 0;
  for (const auto& index : indices_) sum += index->scheduler.num_running();
  return sum;
}

uint64_t DataIndices::preemptions() const {
  uint64_t sum = 0;
  for (const auto& index : indices_) sum += index->scheduler.preemptions();
  return sum;
}

int64_t DataIndices::blocks() const {
  return static_cast<int64_t>(indices_.size()) * indices_.front()->pool.total();
}

int64_t DataIndices::used_blocks() const {
  int64_t sum = 0;
  for (const auto& index : indices_) sum += index->pool.used();
  return sum;
}

}  // namespace fathom::engine
