#include "engine/loop/step_loop.h"

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "base/check.h"
#include "engine/step/look_ahead.h"

namespace fathom::engine {
namespace {

SchedulerLimits scheduler_limits(const models::RunLimits& model, const EngineOptions& options) {
  return {.max_running = std::min({options.max_running, model.max_step_sequences,
                                   model.max_step_tokens, model.max_logit_rows}),
          .max_waiting = options.max_waiting,
          .prefill_chunk = std::min(options.prefill_chunk, model.max_step_tokens),
          .max_step_tokens = model.max_step_tokens,
          .max_logit_rows = model.max_logit_rows,
          .block_size = model.kv_block_size};
}

int64_t model_drafts(const models::CausalLm& model, const EngineOptions& options) {
  return model.can_draft() ? options.speculate : 0;
}

StepInFlight make_step(const models::CausalLm& model, int64_t max_running) {
  const models::RunLimits& limits = model.limits();
  return {max_running, limits.data_indices * limits.max_logit_rows, model.vocab_size()};
}

}  // namespace

StepLoop::StepLoop(std::unique_ptr<models::CausalLm> model, const EngineOptions& options,
                   Calls calls, std::unique_ptr<KvSource> source)
    : prefix_cache_(options.prefix_cache),
      schedulers_(model->limits().data_indices, scheduler_limits(model->limits(), options),
                  {.enabled = options.prefix_cache,
                   .exact = options.exact,
                   .block_size = model->limits().kv_block_size},
                  model->limits().num_kv_blocks),
      runner_(std::move(model)),
      scratch_(runner_.model().vocab_size()),
      drafter_({.drafts = model_drafts(runner_.model(), options),
                .always = options.speculate_always,
                .max_sequences = schedulers_.max_running()},
               runner_, scratch_),
      calls_(std::move(calls)),
      steps_{make_step(runner_.model(), schedulers_.max_running()),
             make_step(runner_.model(), schedulers_.max_running())},
      handover_(schedulers_, runner_.model(),
                [this](Task& task, FinishReason reason, std::optional<Error> error) {
                  finish(task, reason, std::move(error));
                }) {
  begun_.reserve(static_cast<size_t>(schedulers_.max_running()));
  if (source == nullptr) return;
  remote_ = std::make_unique<RemotePrefix>(std::move(source), options.min_fetch_tokens, schedulers_,
                                           runner_.model(), calls_.wake);
}

void StepLoop::add(Task& task) {
  if (remote_ != nullptr && !task.sequence.exports_kv) return remote_->add(task);
  schedulers_.add(task.sequence);
}

void StepLoop::transfer_blocks() {
  transfer_is_due_ = steps_[0].in_flight;
  if (transfer_is_due_) return;
  if (remote_ != nullptr) remote_->work();
  handover_.retry_waiting();
}

void StepLoop::run() {
  StepInFlight& step = steps_[0];
  const bool is_begun = step.in_flight;
  const auto chunks = is_begun ? std::span<const Chunk>() : schedule(step);
  prepare_masks(step);
  Status going = is_begun ? Status() : begin(step, chunks);
  masks_.wait();
  if (going.ok()) going = draw(step);
  if (going.ok()) going = begin_ahead();
  const auto results = going.ok() ? finish_step() : going.error();
  if (results.ok()) {
    take_in(*results);
  } else {
    fail_all(results.error());
  }
  retire_step();
}

// Schedules a step while none is in flight.
std::span<const Chunk> StepLoop::schedule(StepInFlight& step) {
  auto chunks = schedulers_.next_step();
  if (chunks.empty() && handover_.has_waiting()) {
    handover_.abandon_waiting();
    chunks = schedulers_.next_step();
  }
  FATHOM_CHECK(!chunks.empty(), "scheduler: expected rows to run while there is work");
  drafter_.begin_step(chunks);
  step.set(chunks);
  note_begun(chunks);
  return chunks;
}

Status StepLoop::begin(StepInFlight& step, std::span<const Chunk> chunks) {
  step.begun = std::chrono::steady_clock::now();
  FATHOM_TRY(runner_.begin(chunks));
  step.in_flight = true;
  return {};
}

Status StepLoop::begin_ahead() {
  if (!may_begin_ahead()) return {};
  const LookAhead look_ahead(steps_[0]);
  const auto chunks = schedulers_.next_step_ahead();
  if (chunks.empty()) return {};
  steps_[1].set(chunks);
  note_begun(chunks);
  FATHOM_TRY(begin(steps_[1], chunks));
  ++counts_.steps_ahead;
  return {};
}

// The next step may begin before this one is done if the tokens drawn in this one, which the chip
// has, are all it needs. It needs more
// - with drafts: which of them are accepted decides what is run and drafted next;
// - while KV blocks go to another engine or come from one: they are copied between steps;
// - if a sequence has to be preempted (Scheduler::make_places()): its progress must be known, and
// no
//   step may touch its blocks any more.
// A sequence that reaches its token limit in this step is not in the next one. A sequence that ends
// by a drawn token, or fails, is; its rows are discarded. Prompt scores are taken in as they come,
// and a full block is shared once its step is done.
bool StepLoop::may_begin_ahead() const {
  return model().max_steps_in_flight() > 1 && !drafter_.drafts() && !moves_blocks();
}

// Whether blocks are to be copied from or to another engine once no step is in flight.
bool StepLoop::moves_blocks() const {
  return handover_.has_waiting() || (remote_ != nullptr && remote_->has_waiting()) ||
         std::ranges::any_of(steps_[0].parts, [](const StepInFlight::Part& part) {
           return part.task != nullptr && part.task->sequence.exports_kv;
         });
}

Status StepLoop::draw(StepInFlight& step) {
  int64_t logit_row = 0;
  for (StepInFlight::Part& part : step.parts) {
    if (part.task != nullptr) ask(step, part, logit_row);
    logit_row += part.logit_rows;
  }
  return runner_.draw(step.draws.asked());
}

// Requests the draws and rows that the task needs of its logits, which begin at `logit_row`.
void StepLoop::ask(StepInFlight& step, StepInFlight::Part& part, int64_t logit_row) {
  Task& task = *part.task;
  const Sequence& sequence = task.sequence;
  Draws& draws = step.draws;
  const int64_t draws_before = draws.count();
  const int64_t rows_read_before = draws.rows_read();
  try {
    for (int64_t row = sequence.computed; row < sequence.computed + part.rows; ++row) {
      if (!sequence.wants_logits(row)) continue;
      const bool is_drawn = row + 1 >= sequence.length();
      if (is_drawn) draws.add(sequence, row + 1, logit_row);
      if (!is_drawn || sequence.sampling.logprobs) draws.read(logit_row);
      ++logit_row;
    }
  } catch (const std::bad_alloc&) {
    draws.keep(draws_before, rows_read_before);
    fail_for_memory(task);
    return;
  }
  part.draws = draws.count() - draws_before;
  part.rows_read = draws.rows_read() - rows_read_before;
}

Result<models::StepResult> StepLoop::finish_step() {
  StepInFlight& step = steps_[0];
  auto results = runner_.finish(step.draws.count(), step.draws.rows_read());
  if (!results.ok()) return results;
  step.in_flight = false;
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - step.begun;
  drafter_.model_took(spent.count());
  if (step.is_wanted()) ++counts_.steps;
  return results;
}

// The step's results are taken in: unpins its blocks, and moves the next step into its place.
void StepLoop::retire_step() {
  for (const StepInFlight::Pinned& pinned : steps_[0].pinned) {
    schedulers_.unpin(pinned.replica, pinned.blocks);
  }
  steps_[0].clear();
  std::swap(steps_[0], steps_[1]);
}

void StepLoop::note_begun(std::span<const Chunk> chunks) {
  const auto now = std::chrono::steady_clock::now();
  begun_.clear();
  for (const Chunk& chunk : chunks) {
    Task& task = *chunk.sequence->task;
    if (std::exchange(task.begun, true)) continue;
    begun_.push_back(&task);
    task.queue_seconds = std::chrono::duration<double>(now - task.submitted).count();
    task.cached_tokens = task.sequence.computed;
    if (task.fetched_from) {
      task.cached_tokens =
          std::min(task.sequence.computed, *task.fetched_from * model().limits().kv_block_size);
    }
    counts_.prompt_tokens += static_cast<uint64_t>(task.sequence.prompt_size);
    if (!prefix_cache_) continue;
    counts_.prefix_cache_queries += static_cast<uint64_t>(task.sequence.prompt_size);
    counts_.prefix_cache_hits += static_cast<uint64_t>(task.cached_tokens);
  }
  calls_.begin(begun_);
}

// Computes the masks for the step's draws while the chip works.
void StepLoop::prepare_masks(const StepInFlight& step) {
  for (const StepInFlight::Part& part : step.parts) {
    if (part.task == nullptr) continue;
    const Sequence& sequence = part.task->sequence;
    const bool samples = sequence.computed + part.rows == sequence.length() + sequence.drafts;
    if (sequence.guide == nullptr || !samples) continue;
    masks_.add(*sequence.guide,
               std::span(sequence.tokens).last(static_cast<size_t>(sequence.drafts)));
  }
  masks_.begin();
}

KvTransferStats StepLoop::kv_fetched() const {
  return remote_ != nullptr ? remote_->stats() : KvTransferStats();
}

EngineStats StepLoop::stats() const {
  EngineStats stats = counts_;
  stats.running = schedulers_.num_running();
  stats.max_running = schedulers_.max_running();
  stats.kv_blocks_total = schedulers_.blocks();
  stats.kv_blocks_used = schedulers_.used_blocks();
  stats.preemptions = schedulers_.preemptions();
  stats.copied_to_host = model().copied_to_host();
  stats.expert_loads = model().expert_loads();
  stats.expert_exchanges = model().expert_exchanges();
  return stats;
}

}  // namespace fathom::engine
