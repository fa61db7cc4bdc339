// The part of the step loop that takes in what a step computed, and tells the listeners.
#include <fmt/format.h>

#include <algorithm>
#include <new>
#include <utility>

#include "engine/loop/step_loop.h"
#include "sampling/logprobs.h"

namespace fathom::engine {
namespace {

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

void StepLoop::take_in(const models::StepResult& results) {
  StepInFlight& step = steps_[0];
  const auto vocab = static_cast<size_t>(model().vocab_size());
  int64_t row = 0;
  size_t draw = 0;
  size_t logits = 0;
  for (const StepInFlight::Part& part : step.parts) {
    const auto draws = static_cast<size_t>(part.draws);
    const size_t read = static_cast<size_t>(part.rows_read) * vocab;
    if (part.task == nullptr) {
      counts_.surplus_rows += static_cast<uint64_t>(part.rows);
    } else {
      Task& task = *part.task;
      const int64_t computed = task.sequence.computed;
      if (try_advance(
              task, part.rows,
              {results.tokens.subspan(draw, draws), results.logits.subspan(logits, read)})) {
        drafter_.add(task.sequence, computed, row);
        if (task.sequence.exports_kv) handover_.note_computed(task);
      }
    }
    row += part.rows;
    draw += draws;
    logits += read;
  }
  drafter_.draft();
  handover_.hand_over_computed();
}

// No step is in flight after a failure.
void StepLoop::fail_all(const Error& error) {
  for (StepInFlight& step : steps_) step.in_flight = false;
  for (StepInFlight& step : steps_) {
    for (const StepInFlight::Part& part : step.parts) {
      if (part.task != nullptr) finish(*part.task, FinishReason::kError, error);
    }
  }
  steps_[1].clear();
}

bool StepLoop::try_advance(Task& task, int64_t rows, models::StepResult results) {
  try {
    return advance(task, rows, results);
  } catch (const std::bad_alloc&) {
    return fail_for_memory(task);
  }
}

bool StepLoop::fail_for_memory(Task& task) {
  clear(event_);
  // Short enough to need no memory itself.
  return finish(task, FinishReason::kError, Error{ErrorCode::kUnavailable, "out of memory"});
}

// Takes in a step's results for `rows` rows of the task, drafts last.
bool StepLoop::advance(Task& task, int64_t rows, models::StepResult results) {
  Sequence& sequence = task.sequence;
  const int64_t known = rows - sequence.drafts;
  if (sequence.sampling.prompt_logprobs &&
      !score_prompt(task, sequence.computed + known, results.logits)) {
    return finish(task, FinishReason::kError, not_finite());
  }
  schedulers_.advance(sequence, known);
  if (sequence.remaining() > 0) return true;
  if (sequence.exports_kv) return true;  // until its blocks are handed over
  if (sequence.max_new == 0) return finish(task, FinishReason::kLength);
  return generate(task, results);
}

// Takes the token after the last known one and then, as long as the drafts are accepted, the tokens
// after them: each accepted draft makes one more row known.
bool StepLoop::generate(Task& task, models::StepResult results) {
  Sequence& sequence = task.sequence;
  constexpr double kWeight = 1.0 / 16;  // of one step in the share of right drafts
  const int64_t drafts = sequence.drafts;
  const uint64_t accepted_before = counts_.accepted_draft_tokens;
  if (drafts > 0) ++counts_.drafts;
  counts_.draft_tokens += static_cast<uint64_t>(drafts);
  while (sequence.remaining() == 0) {
    if (!take_next(task, results)) return false;
  }
  if (drafts > 0) {
    const auto accepted = static_cast<double>(counts_.accepted_draft_tokens - accepted_before);
    const double share = accepted / static_cast<double>(drafts);
    sequence.draft_success += kWeight * (share - sequence.draft_success);
  }
  return true;
}

// Sends the log-probabilities of the prompt tokens after rows [computed, end) and removes these
// rows from the front of `logits`. False if a row has no finite logit.
bool StepLoop::score_prompt(Task& task, int64_t end, std::span<const float>& logits) {
  Sequence& sequence = task.sequence;
  const auto vocab = static_cast<size_t>(model().vocab_size());
  int64_t scored = 0;
  for (int64_t row = sequence.computed; row < std::min(end, sequence.prompt_size - 1); ++row) {
    if (!sequence.wants_logits(row)) continue;
    auto logprob =
        sampling::token_logprob(logits.first(vocab), sequence.tokens[static_cast<size_t>(row + 1)],
                                *sequence.sampling.prompt_logprobs, scratch_);
    if (!logprob) {
      event_.prompt_logprobs.clear();
      return false;
    }
    event_.prompt_logprobs.push_back(std::move(*logprob));
    logits = logits.subspan(vocab);
    ++scored;
  }
  sequence.prompt_scored += scored;
  if (scored > 0) send(task);
  return true;
}

// Removes one drawn token, and its logits if they were read, from the front of `results`.
bool StepLoop::take_next(Task& task, models::StepResult& results) {
  Sequence& sequence = task.sequence;
  const TokenId token = results.tokens.front();
  results.tokens = results.tokens.subspan(1);
  if (token < 0) {
    // A text that is complete and has no stop token to draw.
    if (sequence.guide != nullptr && sequence.guide->restricts() && sequence.guide->can_end()) {
      return finish(task, FinishReason::kStop);
    }
    return finish(task, FinishReason::kError, not_finite());
  }
  ++counts_.generated_tokens;

  if (sequence.stops_at(token)) {
    event_.stop_token = token;
    return finish(task, FinishReason::kStop);
  }
  if (sequence.guide != nullptr && !sequence.guide->accept(token)) {
    return finish(task, FinishReason::kError, not_allowed(token));
  }
  if (sequence.sampling.logprobs) {
    const auto vocab = static_cast<size_t>(model().vocab_size());
    event_.logprob = sampling::token_logprob(results.logits.first(vocab), token,
                                             *sequence.sampling.logprobs, scratch_);
    results.logits = results.logits.subspan(vocab);
  }
  if (sequence.append(token)) {
    ++counts_.accepted_draft_tokens;
    schedulers_.advance(sequence, 1);
  }
  event_.token = token;
  if (sequence.guide != nullptr && !sequence.guide->can_continue()) {
    return finish(task, FinishReason::kStop);
  }
  if (sequence.generated() == sequence.max_new) return finish(task, FinishReason::kLength);
  send(task);
  return true;
}

// Turns the task's rows in running steps into surplus.
void StepLoop::leave_steps(Task& task) {
  Sequence& sequence = task.sequence;
  for (StepInFlight& step : steps_) {
    if (!step.forget(task) || !step.in_flight) continue;
    schedulers_.release_pinned(sequence, sequence.blocks);
    step.pinned.push_back({sequence.replica, std::exchange(sequence.blocks, {})});
  }
}

void StepLoop::leave_queues(Task& task) {
  if (handover_.forget(task)) return;
  if (remote_ == nullptr || !remote_->forget(task)) schedulers_.remove(task.sequence);
}

// Calls the listener with event_ and clears it for the next one.
void StepLoop::send(Task& task) {
  event_.usage = {.prompt_tokens = task.sequence.prompt_size,
                  .cached_tokens = task.cached_tokens,
                  .completion_tokens = task.sequence.generated() + (event_.stop_token ? 1 : 0)};
  event_.queue_seconds = std::exchange(task.queue_seconds, std::nullopt);
  task.listener(event_);
  clear(event_);
}

// Before the listener gets the last event, the task is out of all counts and its blocks are free,
// except those that a step in flight may touch. Always false: the task does not go on.
bool StepLoop::finish(Task& task, FinishReason reason, std::optional<Error> error) {
  leave_steps(task);
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
    case FinishReason::kRefused:  // by submit(), before there is a task
      break;
  }
  const std::unique_ptr<Task> owned = calls_.retire(task);
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
