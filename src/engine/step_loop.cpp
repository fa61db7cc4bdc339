#include "engine/step_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <new>
#include <utility>

#include "base/check.h"
#include "engine/next_token.h"
#include "sampling/logprobs.h"

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

Error not_finite() {
  return {ErrorCode::kInternal, "sample: logits are not finite"};
}

Error not_allowed(TokenId token) {
  return {ErrorCode::kInternal,
          fmt::format("sample: expected a token that the grammar allows, got {}", token)};
}

void clear(Event& event) {
  event.prompt_logprobs.clear();
  event.token.reset();
  event.logprob.reset();
  event.finish.reset();
  event.stop_token.reset();
  event.error.reset();
}

}  // namespace

StepLoop::StepLoop(std::unique_ptr<models::CausalLm> model, const EngineOptions& options,
                   Retire retire, std::unique_ptr<KvSource> source, std::function<void()> wake)
    : prefix_cache_(options.prefix_cache),
      scheduler_(model->limits().data_indices, scheduler_limits(model->limits(), options),
                 {.enabled = options.prefix_cache,
                  .exact = options.exact,
                  .block_size = model->limits().kv_block_size},
                 model->limits().num_kv_blocks),
      runner_(std::move(model)),
      scratch_(runner_.model().vocab_size()),
      drafter_({.drafts = model_drafts(runner_.model(), options),
                .always = options.speculate_always,
                .max_sequences = scheduler_.max_running()},
               runner_, scratch_),
      retire_(std::move(retire)) {
  begun_.reserve(static_cast<size_t>(scheduler_.max_running()));
  handing_over_.reserve(static_cast<size_t>(scheduler_.max_running()));
  if (source == nullptr) return;
  remote_ = std::make_unique<RemotePrefix>(std::move(source), options.min_fetch_tokens, scheduler_,
                                           runner_.model(), std::move(wake));
}

void StepLoop::add(Task& task) {
  if (remote_ != nullptr && !task.hands_over) return remote_->add(task);
  scheduler_.add(task);
}

void StepLoop::schedule() {
  chunks_ = scheduler_.next_step();
  if (chunks_.empty() && !lingering_.empty()) {
    abandon_lingering();
    chunks_ = scheduler_.next_step();
  }
  FATHOM_CHECK(!chunks_.empty(), "scheduler: expected rows to run while there is work");
  const auto now = std::chrono::steady_clock::now();
  begun_.clear();
  for (const Chunk& chunk : chunks_) {
    Task& task = static_cast<Task&>(*chunk.sequence);
    if (std::exchange(task.begun, true)) continue;
    begun_.push_back(&task);
    task.queue_seconds = std::chrono::duration<double>(now - task.submitted).count();
    task.cached_tokens = task.computed;
    if (task.fetched_from) {
      task.cached_tokens =
          std::min(task.computed, *task.fetched_from * model().limits().kv_block_size);
    }
    counts_.prompt_tokens += static_cast<uint64_t>(task.prompt_size);
    if (!prefix_cache_) continue;
    counts_.prefix_cache_queries += static_cast<uint64_t>(task.prompt_size);
    counts_.prefix_cache_hits += static_cast<uint64_t>(task.cached_tokens);
  }
}

void StepLoop::run() {
  drafter_.begin_step(chunks_);
  prepare_masks();
  const auto begin = std::chrono::steady_clock::now();
  auto logits = runner_.run(chunks_);
  masks_.wait();
  const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
  drafter_.model_took(spent.count());
  ++counts_.steps;
  const auto vocab = static_cast<size_t>(model().vocab_size());
  int64_t row = 0;
  size_t logit_row = 0;
  for (const Chunk& chunk : chunks_) {
    Task& task = static_cast<Task&>(*chunk.sequence);
    const int64_t computed = task.computed;
    const auto logit_rows = static_cast<size_t>(chunk.logit_rows);
    if (!logits.ok()) {
      finish(task, FinishReason::kError, logits.error());
    } else if (try_advance(task, chunk.rows,
                           logits->subspan(logit_row * vocab, logit_rows * vocab))) {
      drafter_.add(task, computed, row);
      if (task.hands_over) handing_over_.push_back(&task);
    }
    row += chunk.rows;
    logit_row += logit_rows;
  }
  drafter_.draft();
  hand_over_step();
}

// While the chip works, the masks that its results will be sampled with are found.
void StepLoop::prepare_masks() {
  for (const Chunk& chunk : chunks_) {
    const Sequence& sequence = *chunk.sequence;
    const bool samples = sequence.computed + chunk.rows == sequence.length() + sequence.drafts;
    if (sequence.guide == nullptr || !samples) continue;
    masks_.add(*sequence.guide,
               std::span(sequence.tokens).last(static_cast<size_t>(sequence.drafts)));
  }
  masks_.begin();
}

EngineStats StepLoop::stats() const {
  EngineStats stats = counts_;
  stats.running = scheduler_.num_running();
  stats.max_running = scheduler_.max_running();
  stats.kv_blocks_total = scheduler_.blocks();
  stats.kv_blocks_used = scheduler_.used_blocks();
  stats.preemptions = scheduler_.preemptions();
  stats.expert_loads = model().expert_loads();
  return stats;
}

bool StepLoop::try_advance(Task& task, int64_t rows, std::span<const float> logits) {
  try {
    return advance(task, rows, logits);
  } catch (const std::bad_alloc&) {
    clear(event_);
    // Short enough to need no memory itself.
    return finish(task, FinishReason::kError, Error{ErrorCode::kUnavailable, "out of memory"});
  }
}

// Takes in what a step computed: `rows` more of the task's rows, drafts last, and the logits it
// wanted of them.
bool StepLoop::advance(Task& task, int64_t rows, std::span<const float> logits) {
  const int64_t known = rows - task.drafts;
  if (task.sampling.prompt_logprobs && !score_prompt(task, task.computed + known, logits)) {
    return finish(task, FinishReason::kError, not_finite());
  }
  scheduler_.advance(task, known);
  if (task.remaining() > 0) return true;
  if (task.hands_over) return true;  // until that is done
  if (task.max_new == 0) return finish(task, FinishReason::kLength);
  return generate(task, logits);
}

// Samples behind the last token that is known and then, as long as they turn out right, behind its
// drafts: each of those makes one more row known.
bool StepLoop::generate(Task& task, std::span<const float> logits) {
  constexpr double kWeight = 1.0 / 16;  // of one step in the share of right drafts
  const int64_t drafts = task.drafts;
  const uint64_t accepted_before = counts_.accepted_draft_tokens;
  if (drafts > 0) ++counts_.drafts;
  counts_.draft_tokens += static_cast<uint64_t>(drafts);
  while (task.remaining() == 0) {
    if (!sample_next(task, logits)) return false;
    logits = logits.subspan(static_cast<size_t>(model().vocab_size()));
  }
  if (drafts > 0) {
    const auto accepted = static_cast<double>(counts_.accepted_draft_tokens - accepted_before);
    const double share = accepted / static_cast<double>(drafts);
    task.draft_success += kWeight * (share - task.draft_success);
  }
  return true;
}

// Sends the log-probabilities of the prompt tokens that rows [computed, end) tell of and takes
// their rows off the front of `logits`. False where a row has no finite logit.
bool StepLoop::score_prompt(Task& task, int64_t end, std::span<const float>& logits) {
  const auto vocab = static_cast<size_t>(model().vocab_size());
  int64_t scored = 0;
  for (int64_t row = task.computed; row < std::min(end, task.prompt_size - 1); ++row) {
    if (!task.wants_logits(row)) continue;
    auto logprob =
        sampling::token_logprob(logits.first(vocab), task.tokens[static_cast<size_t>(row + 1)],
                                *task.sampling.prompt_logprobs, scratch_);
    if (!logprob) {
      event_.prompt_logprobs.clear();
      return false;
    }
    event_.prompt_logprobs.push_back(std::move(*logprob));
    logits = logits.subspan(vocab);
    ++scored;
  }
  task.prompt_scored += scored;
  if (scored > 0) send(task);
  return true;
}

bool StepLoop::sample_next(Task& task, std::span<const float> logits) {
  logits = logits.first(static_cast<size_t>(model().vocab_size()));
  const auto token = next_token(task, task.length(), logits, scratch_);
  if (!token) {
    // A text that is complete and has no stop token to draw.
    if (task.guide != nullptr && task.guide->restricts() && task.guide->can_end()) {
      return finish(task, FinishReason::kStop);
    }
    return finish(task, FinishReason::kError, not_finite());
  }
  ++counts_.generated_tokens;

  if (task.stops_at(*token)) {
    event_.stop_token = token;
    return finish(task, FinishReason::kStop);
  }
  if (task.guide != nullptr && !task.guide->accept(*token)) {
    return finish(task, FinishReason::kError, not_allowed(*token));
  }
  if (task.sampling.logprobs) {
    event_.logprob = sampling::token_logprob(logits, *token, *task.sampling.logprobs, scratch_);
  }
  if (task.append(*token)) {
    ++counts_.accepted_draft_tokens;
    scheduler_.advance(task, 1);
  }
  event_.token = token;
  if (task.guide != nullptr && !task.guide->can_continue()) {
    return finish(task, FinishReason::kStop);
  }
  if (task.generated() == task.max_new) return finish(task, FinishReason::kLength);
  send(task);
  return true;
}

// Calls the listener with event_ and clears it for the next one.
void StepLoop::send(Task& task) {
  event_.usage = {.prompt_tokens = task.prompt_size,
                  .cached_tokens = task.cached_tokens,
                  .completion_tokens = task.generated() + (event_.stop_token ? 1 : 0)};
  event_.queue_seconds = std::exchange(task.queue_seconds, std::nullopt);
  task.listener(event_);
  clear(event_);
}

// When the listener hears of it, the task's blocks are free and nothing counts it any more. Always
// false: the task does not go on.
bool StepLoop::finish(Task& task, FinishReason reason, std::optional<Error> error) {
  leave_queues(task);
  switch (reason) {
    case FinishReason::kStop:
      ++counts_.finished_stop;
      break;
    case FinishReason::kLength:
      ++counts_.finished_length;
      break;
    case FinishReason::kCancelled:
      ++counts_.cancelled;
      break;
    case FinishReason::kError:
      ++counts_.failed;
      break;
  }
  const std::unique_ptr<Task> owned = retire_(task);
  event_.finish = reason;
  event_.error = std::move(error);
  try {
    send(*owned);
  } catch (const std::bad_alloc&) {  // nobody is left to tell
    clear(event_);
  }
  return false;
}

}  // namespace fathom::engine
