#include "engine/scheduler.h"

#include <algorithm>

#include "base/check.h"

namespace fathom::engine {
namespace {

void insert_in_order(std::vector<Sequence*>& queue, Sequence& sequence) {
  queue.insert(std::upper_bound(queue.begin(), queue.end(), &sequence, runs_before), &sequence);
}

}  // namespace

bool runs_before(const Sequence* a, const Sequence* b) {
  return a->priority != b->priority ? a->priority < b->priority : a->id < b->id;
}

Scheduler::Scheduler(const SchedulerLimits& limits, BlockPool& pool, PrefixCache& cache)
    : limits_(limits), pool_(pool), cache_(cache) {
  FATHOM_CHECK(limits.max_running >= 1 && limits.prefill_chunk >= 1 && limits.block_size >= 1 &&
                   limits.max_running <= limits.max_step_tokens &&
                   limits.max_running <= limits.max_logit_rows,
               "scheduler: expected limits with room for one row of every running sequence");
  running_.reserve(static_cast<size_t>(limits.max_running));
  waiting_.reserve(static_cast<size_t>(limits.max_running + limits.max_waiting));
  step_.reserve(static_cast<size_t>(limits.max_running));
}

void Scheduler::add(Sequence& sequence) {
  insert_in_order(waiting_, sequence);
}

void Scheduler::remove(Sequence& sequence) {
  const size_t found = std::erase(running_, &sequence) + std::erase(waiting_, &sequence);
  FATHOM_CHECK(found == 1, "scheduler: expected a sequence in one queue");
  pool_.release(sequence.blocks);
}

void Scheduler::detach(Sequence& sequence) {
  FATHOM_CHECK(std::erase(running_, &sequence) == 1, "scheduler: expected a running sequence");
}

std::span<const Chunk> Scheduler::next_step() {
  step_.clear();
  tokens_left_ = limits_.max_step_tokens;
  logits_left_ = limits_.max_logit_rows;
  admit();
  decode();
  prefill();
  return step_;
}

int64_t Scheduler::unread_rows() const {
  int64_t rows = 0;
  for (const Sequence* sequence : running_) rows += sequence->remaining();
  for (const Sequence* sequence : waiting_) rows += sequence->remaining();
  return rows;
}

void Scheduler::advance(Sequence& sequence, int64_t rows) {
  const int64_t before = sequence.computed;
  sequence.computed += rows;
  cache_.publish(sequence, before);
}

void Scheduler::admit() {
  while (!waiting_.empty() && num_running() < limits_.max_running) {
    Sequence& sequence = *waiting_.front();
    const PrefixMatch cached = cache_.match(sequence);
    if (!fits(sequence, cached)) return;
    waiting_.erase(waiting_.begin());
    cache_.adopt(sequence, cached);
    FATHOM_CHECK(grow(sequence), "scheduler: expected blocks for an admitted sequence");
    insert_in_order(running_, sequence);
  }
}

void Scheduler::decode() {
  int64_t room_for_drafts = std::min(tokens_left_, logits_left_) - num_running();
  for (int64_t i = 0; i < num_running(); ++i) {
    Sequence& sequence = *running_[static_cast<size_t>(i)];
    if (sequence.remaining() != 1) continue;
    sequence.keep_drafts(std::min(sequence.drafts, room_for_drafts));
    if (!grow(sequence)) sequence.keep_drafts(0);
    while (!grow(sequence)) {
      preempt_last();  // never one of this step: those come before i
      if (i == num_running()) return;
    }
    room_for_drafts -= sequence.drafts;
    schedule(sequence, 1 + sequence.drafts);
  }
}

void Scheduler::prefill() {
  int64_t rows_left = prefill_budget();
  for (Sequence* sequence : running_) {
    if (sequence->remaining() > 1) rows_left -= schedule(*sequence, rows_left);
  }
}

// Larger steps read prompts faster, but keep waiting whoever is being answered.
int64_t Scheduler::prefill_budget() const {
  const bool answers = std::any_of(running_.begin(), running_.end(),
                                   [](const Sequence* each) { return each->remaining() == 1; });
  return answers ? limits_.prefill_chunk : 2 * limits_.prefill_chunk;
}

bool Scheduler::fits(const Sequence& waiting, const PrefixMatch& cached) const {
  return pool_.available() >= blocks_for(waiting) - cached.in_use + num_running() &&
         unread_before(waiting) < prefill_budget();
}

int64_t Scheduler::unread_before(const Sequence& waiting) const {
  int64_t rows = 0;
  for (const Sequence* sequence : running_) {
    if (runs_before(sequence, &waiting) && sequence->remaining() > 1) rows += sequence->remaining();
  }
  return rows;
}

int64_t Scheduler::blocks_for(const Sequence& sequence) const {
  const auto tokens = static_cast<int64_t>(sequence.tokens.size());
  return (tokens + limits_.block_size - 1) / limits_.block_size;
}

// Extends the block table to all of the sequence's tokens and drafts, or changes nothing.
bool Scheduler::grow(Sequence& sequence) {
  const int64_t missing = blocks_for(sequence) - static_cast<int64_t>(sequence.blocks.size());
  if (missing > pool_.available()) return false;
  for (int64_t i = 0; i < missing; ++i) sequence.blocks.push_back(pool_.take());
  return true;
}

void Scheduler::preempt_last() {
  Sequence& sequence = *running_.back();
  running_.pop_back();
  pool_.release(sequence.blocks);
  sequence.computed = 0;
  sequence.keep_drafts(0);
  insert_in_order(waiting_, sequence);
  ++preemptions_;
}

// Adds up to `max_rows` of the sequence's next rows to the step, fewer where the step is full.
int64_t Scheduler::schedule(Sequence& sequence, int64_t max_rows) {
  const int64_t limit = std::min({max_rows, sequence.remaining() + sequence.drafts, tokens_left_});
  Chunk chunk{&sequence, 0, 0};
  for (; chunk.rows < limit; ++chunk.rows) {
    if (!sequence.wants_logits(sequence.computed + chunk.rows)) continue;
    if (chunk.logit_rows == logits_left_) break;
    ++chunk.logit_rows;
  }
  if (chunk.rows == 0) return 0;
  tokens_left_ -= chunk.rows;
  logits_left_ -= chunk.logit_rows;
  step_.push_back(chunk);
  return chunk.rows;
}

}  // namespace fathom::engine
