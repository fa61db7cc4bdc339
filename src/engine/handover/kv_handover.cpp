#include "engine/handover/kv_handover.h"

#include <algorithm>
#include <span>
#include <utility>

#include "engine/kv_transfer.h"

namespace fathom::engine {

KvHandover::KvHandover(ReplicaSchedulers& schedulers, models::CausalLm& model, Finish finish)
    : schedulers_(schedulers), model_(model), finish_(std::move(finish)) {
  computed_.reserve(static_cast<size_t>(schedulers.max_running()));
}

void KvHandover::hand_over_computed() {
  for (Task* task : computed_) {
    const auto done = hand_over_blocks(*task);
    if (!done) {
      finish_(*task, FinishReason::kError, done.error());
    } else if (task->sequence.remaining() == 0 && *done) {
      finish_(*task, FinishReason::kLength, {});
    } else if (task->sequence.remaining() == 0) {
      schedulers_.detach(task->sequence);
      waiting_.push_back(task);
    }
  }
  computed_.clear();
}

void KvHandover::retry_waiting() {
  for (size_t i = waiting_.size(); i-- > 0;) {
    Task& task = *waiting_[i];
    const auto done = hand_over_blocks(task);
    if (!done) {
      finish_(task, FinishReason::kError, done.error());
    } else if (*done) {
      finish_(task, FinishReason::kLength, {});
    }
  }
}

void KvHandover::abandon_waiting() {
  while (!waiting_.empty()) {
    finish_(*waiting_.back(), FinishReason::kError,
            Error{ErrorCode::kResourceExhausted,
                  "kv blocks: expected to be handed over before "
                  "others need their memory, got no room"});
  }
}

bool KvHandover::forget(Task& task) {
  if (std::erase(waiting_, &task) == 0) return false;
  schedulers_.release(task.sequence);
  return true;
}

// Hands over as many blocks as are computed and the sink has room for; the last block as far as the
// prompt's tokens before the last one fill it. Whether all are handed over.
Result<bool> KvHandover::hand_over_blocks(Task& task) {
  const Sequence& sequence = task.sequence;
  const int64_t block_size = model_.limits().kv_block_size;
  const size_t block_bytes = models::kv_block_bytes(model_.kv_block_format());
  const int64_t tokens = sequence.prompt_size - 1;
  const int64_t all = (tokens + block_size - 1) / block_size;
  const int64_t computed = sequence.computed >= tokens ? all : sequence.computed / block_size;
  while (task.kv_next < computed && task.kv_sink->ready()) {
    const int64_t count = std::min(computed - task.kv_next, models::kMaxKvBlocksACall);
    KvBlocks blocks = {task.kv_next, count, {}};
    blocks.bytes.resize(static_cast<size_t>(count) * block_bytes);
    const auto list = std::span<const int32_t>(sequence.blocks)
                          .subspan(static_cast<size_t>(task.kv_next), static_cast<size_t>(count));
    FATHOM_TRY(model_.read_kv_blocks(sequence.replica, list, blocks.bytes));
    task.kv_sink->take(std::move(blocks));
    task.kv_next += count;
  }
  return task.kv_next >= all;
}

}  // namespace fathom::engine
