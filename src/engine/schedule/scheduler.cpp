#include "engine/schedule/scheduler.h"

#include <algorithm>
#include <iterator>
#include <tuple>
#include <utility>

#include "base/check.h"

namespace fathom::engine {
namespace {

void insert_in_order(std::vector<Sequence*>& queue, Sequence& sequence) {
  queue.insert(std::upper_bound(queue.begin(), queue.end(), &sequence, runs_before), &sequence);
}

// Whether rows go to the prompts of a's owner before they go to those of b's.
bool is_read_before(const Sequence& a, const Sequence& b) {
  const auto rank = [](const Sequence& each) {
    return std::pair(each.priority, each.owner_share->rows_read);
  };
  return rank(a) < rank(b);
}

bool are_read_together(const Sequence& a, const Sequence& b) {
  return a.priority == b.priority && a.owner == b.owner;
}

// Deals up to `max_rows` out among prompts that are read together and stand in order of arrival:
// half in that order, half to the shortest. give(reader, most) says how many of them it took.
// Returns how many went.
template <typename Readers, typename Give>
int64_t deal_out(Readers& readers, int64_t max_rows, const Give& give) {
  const auto deal = [&](int64_t rows_left) {
    for (auto& reader : readers) {
      const int64_t rows = rows_left > 0 ? give(reader, rows_left) : 0;
      reader.rows += rows;
      rows_left -= rows;
    }
    return rows_left;
  };
  const int64_t in_order = (max_rows + 1) / 2;
  const int64_t rows_left = max_rows - in_order + deal(in_order);
  std::ranges::sort(readers, {},
                    [](const auto& each) { return std::pair(each.unread, each.sequence->id); });
  return max_rows - deal(rows_left);
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
  prompts_.reserve(static_cast<size_t>(limits.max_running));
  readers_.reserve(static_cast<size_t>(limits.max_running) + 1);
  step_.reserve(static_cast<size_t>(limits.max_running));
}

void Scheduler::add(Sequence& sequence) {
  shares_.join(sequence);
  insert_in_order(waiting_, sequence);
}

void Scheduler::remove(Sequence& sequence) {
  if (std::erase(waiting_, &sequence) > 0) return shares_.leave(sequence);
  detach(sequence);
  pool_.release(sequence.blocks);
}

void Scheduler::detach(Sequence& sequence) {
  FATHOM_CHECK(std::erase(running_, &sequence) == 1, "scheduler: expected a running sequence");
  FairShares::pause(sequence);
  shares_.leave(sequence);
}

std::span<const Chunk> Scheduler::next_step() {
  may_preempt_ = true;
  begin_step();
  admit();
  grow_decoding();
  return deal_out_step();
}

bool Scheduler::make_places() {
  may_preempt_ = false;
  begin_step();
  return admit() && grow_decoding();
}

std::span<const Chunk> Scheduler::deal_out_step() {
  decode();
  prefill();
  return step_;
}

void Scheduler::begin_step() {
  step_.clear();
  tokens_left_ = limits_.max_step_tokens;
  logits_left_ = limits_.max_logit_rows;
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

// False where the next one would need a preemption that is not allowed.
bool Scheduler::admit() {
  while (!waiting_.empty()) {
    auto next = std::ranges::min_element(waiting_, [](const Sequence* a, const Sequence* b) {
      return FairShares::next_before(*a, *b);
    });
    const bool has_place = num_running() < limits_.max_running;
    if (!has_place && who_yields_to(**next) == running_.end()) return true;
    if (!would_be_read(**next)) {
      next = std::ranges::min_element(waiting_, {}, [](const Sequence* each) {
        return std::tuple(each->priority, each->remaining(), each->id);
      });
      if (!would_be_read(**next)) return true;
    }
    Sequence& sequence = **next;
    PrefixMatch cached = cache_.match(sequence);
    const bool fits_now = fits(sequence, cached);
    if (!fits_now && !may_preempt_) return who_yields_to(sequence) == running_.end();
    waiting_.erase(next);
    if (!make_room(sequence, cached)) {
      insert_in_order(waiting_, sequence);
      return true;
    }
    cache_.adopt(sequence, cached);
    FATHOM_CHECK(grow(sequence), "scheduler: expected blocks for an admitted sequence");
    insert_in_order(running_, sequence);
    FairShares::begin(sequence);
  }
  return true;
}

// The running sequence that gives its place to a waiting one; the end of the list for nobody.
std::vector<Sequence*>::iterator Scheduler::who_yields_to(const Sequence& waiting) {
  auto gives = running_.end();
  for (auto each = running_.begin(); each != running_.end(); ++each) {
    if ((*each)->priority < waiting.priority || !FairShares::has_more(**each, waiting)) continue;
    if (gives == running_.end() || FairShares::yields_before(**each, **gives)) gives = each;
  }
  return gives;
}

// Whether there is room for the sequence, with what others who have more than their share give.
bool Scheduler::make_room(Sequence& waiting, PrefixMatch& cached) {
  while (!fits(waiting, cached)) {
    const auto gives = who_yields_to(waiting);
    if (gives == running_.end()) return false;
    preempt(gives);
    cached = cache_.match(waiting);
  }
  return true;
}

// Gives every decoding sequence the blocks for its row, and for its drafts where there is room.
// False where one would need a preemption that is not allowed.
bool Scheduler::grow_decoding() {
  int64_t room_for_drafts = std::min(tokens_left_, logits_left_) - num_running();
  for (size_t i = 0; i < running_.size();) {
    Sequence& sequence = *running_[i];
    if (sequence.remaining() == 1) {
      sequence.keep_drafts(std::min(sequence.drafts, room_for_drafts));
      if (!grow(sequence)) sequence.keep_drafts(0);
      if (!may_preempt_ && !grow(sequence)) return false;
      if (!grow_at_any_cost(i)) continue;
      room_for_drafts -= sequence.drafts;
    }
    ++i;
  }
  return true;
}

void Scheduler::decode() {
  for (Sequence* sequence : running_) {
    if (sequence->remaining() != 1) continue;
    extend(step_.emplace_back(Chunk{sequence, 0, 0}), 1 + sequence->drafts);
  }
  decoding_ = step_.size();
}

// Preempts others until the running sequence at `index` has its blocks, and says where it is by
// then; false where it is preempted itself.
bool Scheduler::grow_at_any_cost(size_t& index) {
  Sequence& sequence = *running_[index];
  while (!grow(sequence)) {
    auto gives = running_.begin();
    for (auto each = running_.begin(); each != running_.end(); ++each) {
      if (FairShares::yields_before(**each, **gives)) gives = each;
    }
    const auto at = static_cast<size_t>(gives - running_.begin());
    preempt(gives);
    if (at == index) return false;
    if (at < index) --index;
  }
  return true;
}

void Scheduler::prefill() {
  prompts_.clear();
  for (Sequence* sequence : running_) {
    if (sequence->remaining() > 1) prompts_.push_back(sequence);
  }
  int64_t rows_left = prefill_budget();
  while (!prompts_.empty() && rows_left > 0) rows_left -= read_prompts_of_one(rows_left);
}

// Takes the most urgent prompts of the owner who has read the fewest rows out of prompts_, and
// gives them up to `max_rows`. Returns how many.
int64_t Scheduler::read_prompts_of_one(int64_t max_rows) {
  const Sequence& first = **std::ranges::min_element(
      prompts_, [](const Sequence* a, const Sequence* b) { return is_read_before(*a, *b); });
  readers_.clear();
  for (Sequence* each : prompts_) {
    if (are_read_together(*each, first)) readers_.push_back({each, each->remaining()});
  }
  std::erase_if(prompts_,
                [&first](const Sequence* each) { return are_read_together(*each, first); });
  return deal_out(readers_, max_rows,
                  [this](Reader& reader, int64_t most) { return read(*reader.sequence, most); });
}

// Larger steps read prompts faster, but keep waiting whoever is being answered.
int64_t Scheduler::prefill_budget() const {
  const bool answers = std::any_of(running_.begin(), running_.end(),
                                   [](const Sequence* each) { return each->remaining() == 1; });
  return answers ? limits_.prefill_chunk : 2 * limits_.prefill_chunk;
}

bool Scheduler::fits(const Sequence& waiting, const PrefixMatch& cached) const {
  return num_running() < limits_.max_running &&
         pool_.available() >= blocks_for(waiting) - cached.in_use + num_running();
}

// Whether a waiting sequence would get some of this step's rows.
bool Scheduler::would_be_read(Sequence& waiting) {
  const int64_t cached = cache_.match(waiting).blocks * limits_.block_size;
  Reader newcomer = {&waiting, waiting.remaining() - cached};
  int64_t rows_left = prefill_budget();
  readers_.clear();
  for (Sequence* each : running_) {
    if (each->remaining() <= 1) continue;
    if (are_read_together(*each, waiting)) {
      readers_.push_back({each, each->remaining()});
    } else if (!is_read_before(waiting, *each)) {
      rows_left -= each->remaining();
    }
  }
  if (rows_left <= 0) return false;
  const auto at = std::ranges::upper_bound(readers_, &waiting, runs_before, &Reader::sequence);
  readers_.insert(at, newcomer);
  deal_out(readers_, rows_left, [](const Reader& reader, int64_t most) {
    return std::min(most, reader.unread - reader.rows);
  });
  return std::ranges::find(readers_, &waiting, &Reader::sequence)->rows > 0;
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

void Scheduler::preempt(std::vector<Sequence*>::iterator running) {
  Sequence& sequence = **running;
  running_.erase(running);
  FairShares::pause(sequence);
  pool_.release(sequence.blocks);
  sequence.computed = 0;
  sequence.keep_drafts(0);
  insert_in_order(waiting_, sequence);
  ++preemptions_;
}

// Adds up to `max_rows` of a prompt's next rows to the step, to its chunk where it has one.
int64_t Scheduler::read(Sequence& sequence, int64_t max_rows) {
  if (max_rows == 0) return 0;
  const auto prompts = step_.begin() + static_cast<std::ptrdiff_t>(decoding_);
  auto chunk = std::find_if(prompts, step_.end(),
                            [&](const Chunk& each) { return each.sequence == &sequence; });
  if (chunk == step_.end()) chunk = step_.insert(chunk, Chunk{&sequence, 0, 0});
  const int64_t rows = extend(*chunk, max_rows);
  if (chunk->rows == 0) step_.pop_back();
  FairShares::read(sequence, rows);
  return rows;
}

// Adds up to `max_rows` of the sequence's next rows to its chunk, fewer where the step is full.
int64_t Scheduler::extend(Chunk& chunk, int64_t max_rows) {
  const Sequence& sequence = *chunk.sequence;
  const int64_t left = sequence.remaining() + sequence.drafts - chunk.rows;
  const int64_t limit = std::min({max_rows, left, tokens_left_});
  int64_t rows = 0;
  for (; rows < limit; ++rows) {
    if (!sequence.wants_logits(sequence.computed + chunk.rows + rows)) continue;
    if (logits_left_ == 0) break;
    --logits_left_;
    ++chunk.logit_rows;
  }
  chunk.rows += rows;
  tokens_left_ -= rows;
  return rows;
}

}  // namespace fathom::engine
