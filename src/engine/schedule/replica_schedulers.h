// One scheduler for each data-parallel replica of a model: a group of ranks with sequences and KV
// blocks of its own (models/causal_lm.h). A new sequence goes to the replica where the fewest rows
// run before it, counting the rows of its prompt that the replica's prefix cache lacks, and stays
// there. A step has the chunks of all replicas, one replica after the other.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/schedule/block_pool.h"
#include "engine/schedule/prefix_cache.h"
#include "engine/schedule/scheduler.h"

namespace fathom::engine {

class ReplicaSchedulers {
 public:
  // `limits` and `num_blocks` apply to each replica.
  ReplicaSchedulers(int64_t count, const SchedulerLimits& limits, const PrefixCacheOptions& cache,
                    int64_t num_blocks);

  // Chooses the sequence's replica.
  void place(Sequence& sequence);
  // As Scheduler's add(), of a placed sequence.
  void schedule(Sequence& sequence) { at(sequence).scheduler.add(sequence); }
  void add(Sequence& sequence) {
    place(sequence);
    schedule(sequence);
  }
  // A placed sequence will be scheduled later; until stop_expecting() placement counts it.
  void expect(const Sequence& sequence) { at(sequence).expected.push_back(&sequence); }
  void stop_expecting(const Sequence& sequence) { std::erase(at(sequence).expected, &sequence); }

  // As PrefixCache's, of a sequence that is placed and not scheduled.
  KvGap gap(Sequence& sequence) { return at(sequence).cache.gap(sequence); }
  int32_t begin_fill(Sequence& sequence, int64_t index) {
    return at(sequence).cache.begin_fill(sequence, index);
  }
  void end_fill(Sequence& sequence, int64_t first, std::vector<int32_t>& blocks, bool filled) {
    at(sequence).cache.end_fill(sequence, first, blocks, filled);
  }
  void touch(Sequence& sequence) { at(sequence).cache.touch(sequence); }
  void keep(Sequence& sequence, std::vector<int32_t>& kept) {
    at(sequence).cache.keep(sequence, kept);
  }
  // As BlockPool's, on the sequence's replica; empties the list.
  void end_keep(const Sequence& sequence, std::vector<int32_t>& kept) {
    at(sequence).pool.end_keep(kept);
    kept.clear();
  }

  // As Scheduler's, over all replicas.
  void remove(Sequence& sequence) { of(sequence).remove(sequence); }
  std::span<const Chunk> next_step();
  // As make_places() and deal_out_step(); also empty if make_places() says false.
  std::span<const Chunk> next_step_ahead();
  void advance(Sequence& sequence, int64_t rows) { of(sequence).advance(sequence, rows); }

  void detach(Sequence& sequence) { of(sequence).detach(sequence); }
  void release(Sequence& sequence) { at(sequence).pool.release(sequence.blocks); }
  // As BlockPool's, on the sequence's replica.
  void release_pinned(const Sequence& sequence, std::span<const int32_t> blocks) {
    at(sequence).pool.release_pinned(blocks);
  }
  void unpin(int32_t replica, std::span<const int32_t> blocks) {
    replicas_[static_cast<size_t>(replica)]->pool.unpin(blocks);
  }
  // On the sequence's replica.
  int64_t num_waiting(const Sequence& sequence) { return of(sequence).num_waiting(); }

  bool has_work() const;
  int64_t max_running() const;
  int64_t num_running() const;
  uint64_t preemptions() const;
  int64_t blocks() const;
  int64_t used_blocks() const;

 private:
  struct Replica {
    Replica(const SchedulerLimits& limits, const PrefixCacheOptions& options,
            const PrefixKeys& keys, int64_t num_blocks)
        : pool(num_blocks), cache(options, keys, pool), scheduler(limits, pool, cache) {}

    BlockPool pool;
    PrefixCache cache;
    Scheduler scheduler;
    std::vector<const Sequence*> expected;
  };

  Replica& at(const Sequence& sequence) {
    return *replicas_[static_cast<size_t>(sequence.replica)];
  }
  Scheduler& of(const Sequence& sequence) { return at(sequence).scheduler; }
  int64_t rows_in_the_way(Replica& replica, Sequence& sequence) const;

  int64_t block_size_;
  std::vector<std::unique_ptr<Replica>> replicas_;
  std::vector<Chunk> step_;
  int64_t last_placed_ = -1;
};

}  // namespace fathom::engine
