// Decides what each step runs, from the queues and the free KV blocks alone. It has no model, no
// thread and no clock, so a planner can drive it on a virtual clock.
//
// A step has one row of every decoding sequence, with its drafts if there is room (drafts preempt
// nobody), then rows of prompts until the prefill budget is spent. A waiting sequence is admitted
// when it would get rows in this step and the pool has blocks for all its tokens and one more for
// each running sequence. Cached blocks without references count as free; those with references need
// no free block. So a prompt never stops half-read for lack of blocks, and a sequence that was
// preempted for them does not come back at once.
//
// Within a priority all is shared fairly by owner, then by API request (fair_shares.h):
// - Next to be admitted is a sequence of the owner with the fewest running sequences and of that
//   owner's request with the fewest; ties in order of arrival. If long prompts before it leave it
//   no rows, the shortest waiting prompt is next instead. If there is no place or no memory for it,
//   a sequence of whoever has at least two more running is preempted: it waits to be recomputed
//   from what the prefix cache still has.
// - Prompt rows go to the owner who has read the fewest; half of them to that owner's prompts in
//   order of arrival, half to the shortest. So a short prompt takes at most twice the steps that it
//   would take without the long ones before it, and a long prompt at most twice the steps that it
//   would take without the short ones.
// - When a decoding sequence needs a block and none is free, a sequence is preempted, maybe itself:
//   in the lowest priority, the last one of whoever has most running.
// Nothing overtakes the next sequence to be admitted, and owners who wait have ever fewer running
// sequences compared to the others, so none starves. The first in order is never preempted, so
// there is always progress.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/block_pool.h"
#include "engine/schedule/fair_shares.h"
#include "engine/schedule/prefix_cache.h"
#include "engine/sequence/sequence.h"

namespace fathom::engine {

struct SchedulerLimits {
  int64_t max_running = 0;  // at most max_step_tokens and max_logit_rows
  int64_t max_waiting =
      0;  // reserved queue slots; more sequences may wait, at the cost of allocating
  // Rows per step of sequences with more than one row to run; twice as many while none decodes.
  int64_t prefill_chunk = 0;
  int64_t max_step_tokens = 0;  // rows per step
  int64_t max_logit_rows = 0;   // rows per step with logits
  int64_t block_size = 0;       // tokens per KV block
};

// Rows [computed, computed + rows) of one sequence in a step, its drafts last.
struct Chunk {
  Sequence* sequence = nullptr;
  int64_t rows = 0;
  int64_t logit_rows = 0;  // how many of them want logits
};

// By priority, then arrival.
bool runs_before(const Sequence* a, const Sequence* b);

class Scheduler {
 public:
  // The caller ensures that no sequence ever needs more than pool.total() blocks.
  Scheduler(const SchedulerLimits& limits, BlockPool& pool, PrefixCache& cache);

  // Queues a sequence, whose address must not change until it is removed.
  void add(Sequence& sequence);
  // Forgets a sequence, running or waiting, and frees its blocks at once.
  void remove(Sequence& sequence);

  // Forgets a running sequence, which keeps its blocks.
  void detach(Sequence& sequence);

  // The next step, valid until the next call; never empty while has_work(). Once it has run, the
  // caller advances each chunk's sequence.
  std::span<const Chunk> next_step();

  // As next_step() while a step is in flight, for sequences as they will be after it
  // (look_ahead.h); empty if nothing is left to run then. In two parts: make_places() admits
  // waiting sequences and gives decoding ones their blocks. It returns false if it would have to
  // preempt a sequence: the step in flight may touch its blocks, so that step has to finish first.
  bool make_places();
  std::span<const Chunk> deal_out_step();

  // `rows` more rows of the sequence are computed and final; others may share its full blocks from
  // now on.
  void advance(Sequence& sequence, int64_t rows);

  bool has_work() const { return !running_.empty() || !waiting_.empty(); }
  int64_t max_running() const { return limits_.max_running; }
  int64_t num_running() const { return static_cast<int64_t>(running_.size()); }
  int64_t num_waiting() const { return static_cast<int64_t>(waiting_.size()); }
  uint64_t preemptions() const { return preemptions_; }
  // Rows still to run of all sequences, waiting ones included.
  int64_t unread_rows() const;

 private:
  // A prompt that rows of a step may go to.
  struct Reader {
    Sequence* sequence = nullptr;
    int64_t unread = 0;
    int64_t rows = 0;  // that it is given
  };

  void begin_step();
  bool admit();
  bool grow_decoding();
  void decode();
  void prefill();

  bool fits(const Sequence& waiting, const PrefixMatch& cached) const;
  std::vector<Sequence*>::iterator who_yields_to(const Sequence& waiting);
  bool make_room(Sequence& waiting, PrefixMatch& cached);
  bool would_be_read(Sequence& waiting);
  int64_t prefill_budget() const;
  int64_t read_prompts_of_one(int64_t max_rows);
  int64_t blocks_for(const Sequence& sequence) const;
  bool grow(Sequence& sequence);
  bool grow_at_any_cost(size_t& index);
  void preempt(std::vector<Sequence*>::iterator running);
  int64_t read(Sequence& sequence, int64_t max_rows);
  int64_t extend(Chunk& chunk, int64_t max_rows);

  SchedulerLimits limits_;
  BlockPool& pool_;
  PrefixCache& cache_;
  std::vector<Sequence*> running_;  // both in order of priority, then arrival
  std::vector<Sequence*> waiting_;
  FairShares shares_;
  std::vector<Chunk> step_;
  bool may_preempt_ = true;         // for the step being decided
  size_t decoding_ = 0;             // chunks of it that are no prompts'
  std::vector<Sequence*> prompts_;  // to be read in it, reused
  std::vector<Reader> readers_;     // of these, those of one owner, reused
  int64_t tokens_left_ = 0;         // of the step being decided
  int64_t logits_left_ = 0;
  uint64_t preemptions_ = 0;
};

}  // namespace fathom::engine
