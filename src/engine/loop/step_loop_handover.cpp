// The part of the step loop that has to do with other engines (kv_handover.h).
#include <algorithm>

#include "engine/loop/step_loop.h"

namespace fathom::engine {

KvTransferStats StepLoop::kv_fetched() const {
  return remote_ != nullptr ? remote_->stats() : KvTransferStats();
}

void StepLoop::hand_over() {
  hand_over_is_due_ = steps_[0].in_flight;
  if (hand_over_is_due_) return;
  if (remote_ != nullptr) remote_->work();
  for (size_t i = lingering_.size(); i-- > 0;) {
    Task& task = *lingering_[i];
    const auto done = hand_over_blocks(task);
    if (!done) {
      finish(task, FinishReason::kError, done.error());
    } else if (*done) {
      finish(task, FinishReason::kLength);
    }
  }
}

// Whether blocks come from another engine, or are to go to one, as soon as no step is in flight.
bool StepLoop::moves_blocks() const {
  return !lingering_.empty() || (remote_ != nullptr && remote_->has_waiting()) ||
         std::ranges::any_of(steps_[0].parts, [](const StepInFlight::Part& part) {
           return part.task != nullptr && part.task->hands_over;
         });
}

// Once the drafting layer has seen the step's rows, too.
void StepLoop::hand_over_step() {
  for (Task* task : handing_over_) {
    const auto done = hand_over_blocks(*task);
    if (!done) {
      finish(*task, FinishReason::kError, done.error());
    } else if (task->remaining() == 0 && *done) {
      finish(*task, FinishReason::kLength);
    } else if (task->remaining() == 0) {
      scheduler_.detach(*task);
      lingering_.push_back(task);
    }
  }
  handing_over_.clear();
}

// As many blocks as are computed and its sink has room for; the last one as far as the tokens
// before the prompt's last one fill it. Whether all are handed over.
Result<bool> StepLoop::hand_over_blocks(Task& task) {
  const int64_t block_size = model().limits().kv_block_size;
  const size_t block_bytes = models::kv_block_bytes(model().kv_block_format());
  const int64_t tokens = task.prompt_size - 1;
  const int64_t all = (tokens + block_size - 1) / block_size;
  const int64_t computed = task.computed >= tokens ? all : task.computed / block_size;
  while (task.kv_next < computed && task.kv_sink->ready()) {
    const int64_t count = std::min(computed - task.kv_next, models::kMaxKvBlocksACall);
    KvBlocks blocks = {task.kv_next, count, {}};
    blocks.bytes.resize(static_cast<size_t>(count) * block_bytes);
    const auto list = std::span<const int32_t>(task.blocks)
                          .subspan(static_cast<size_t>(task.kv_next), static_cast<size_t>(count));
    FATHOM_TRY(runner_.model().read_kv_blocks(task.data_index, list, blocks.bytes));
    task.kv_sink->take(std::move(blocks));
    task.kv_next += count;
  }
  return task.kv_next >= all;
}

// Memory is short: gives up blocks that were to be sent; whoever waits for them computes them.
void StepLoop::abandon_lingering() {
  while (!lingering_.empty()) {
    finish(*lingering_.back(), FinishReason::kError,
           Error{ErrorCode::kResourceExhausted,
                 "kv blocks: expected to be handed over before "
                 "others need their memory, got no room"});
  }
}

void StepLoop::leave_queues(Task& task) {
  if (std::erase(lingering_, &task) > 0) {
    scheduler_.release(task);
  } else if (remote_ == nullptr || !remote_->forget(task)) {
    scheduler_.remove(task);
  }
}

}  // namespace fathom::engine
