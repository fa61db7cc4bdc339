// The schedulers of a model's data indices: groups of ranks that have sequences and KV blocks of
// their own each (models/causal_lm.h). A sequence stays where it was placed when it came: where the
// fewest rows are in its way, those of its prompt that the index's prefix cache lacks included.
// A step has the chunks of all indices, one index after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/block_pool.h"
#include "engine/prefix_cache.h"
#include "engine/scheduler.h"

namespace fathom::engine {

class DataIndices {
 public:
  // `limits` are of each index, num_blocks too.
  DataIndices(int64_t count, const SchedulerLimits& limits, const PrefixCacheOptions& cache,
              int64_t num_blocks);

  // As Scheduler's, of all indices.
  void add(Sequence& sequence);
  void remove(Sequence& sequence) { of(sequence).remove(sequence); }
  std::span<const Chunk> next_step();
  void advance(Sequence& sequence, int64_t rows) { of(sequence).advance(sequence, rows); }

  bool has_work() const;
  int64_t max_running() const;
  int64_t num_running() const;
  uint64_t preemptions() const;
  int64_t blocks() const;
  int64_t used_blocks() const;

 private:
  struct Index {
    Index(const SchedulerLimits& limits, const PrefixCacheOptions& options, const PrefixKeys& keys,
          int64_t num_blocks)
        : pool(num_blocks), cache(options, keys, pool), scheduler(limits, pool, cache) {}

    BlockPool pool;
    PrefixCache cache;
    Scheduler scheduler;
  };

  Scheduler& of(const Sequence& sequence) {
    return indices_[static_cast<size_t>(sequence.data_index)]->scheduler;
  }
  int64_t rows_in_the_way(Index& index, Sequence& sequence) const;

  int64_t block_size_;
  std::vector<std::unique_ptr<Index>> indices_;
  std::vector<Chunk> step_;
};

}  // namespace fathom::engine
