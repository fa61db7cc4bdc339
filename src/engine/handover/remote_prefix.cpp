#include "engine/handover/remote_prefix.h"

#include <algorithm>
#include <utility>

#include "base/log.h"

namespace fathom::engine {
namespace {

constexpr int64_t kMaxTransfers = 32;  // at once

}  // namespace

RemotePrefix::RemotePrefix(std::unique_ptr<KvSource> source, int64_t min_tokens,
                           ReplicaSchedulers& schedulers, models::CausalLm& model,
                           std::function<void()> wake)
    : min_tokens_(min_tokens),
      format_(model.kv_block_format()),
      schedulers_(schedulers),
      model_(model),
      wake_(std::move(wake)),
      source_(std::move(source)) {
  source_->start(*this);
}

void RemotePrefix::add(Task& task) {
  Sequence& sequence = task.sequence;
  schedulers_.place(sequence);
  if (!is_worth_asking(schedulers_.gap(sequence))) {
    schedulers_.schedule(sequence);
    return;
  }
  schedulers_.expect(sequence);
  const auto at = std::ranges::upper_bound(
      waiting_, &sequence, runs_before, [](const Waiting& each) { return &each.task->sequence; });
  waiting_.insert(at, {.task = &task});
}

bool RemotePrefix::forget(Task& task) {
  const auto found = find(task.sequence.id);
  if (found == waiting_.end()) return false;
  if (found->asked) {
    source_->cancel(task.sequence.id);
    --asked_;
  }
  schedulers_.stop_expecting(end_waiting(found).sequence);
  return true;
}

void RemotePrefix::work() {
  {
    const std::lock_guard lock(mutex_);
    reading_.swap(mail_);
  }
  for (const Mail& mail : reading_) read(mail);
  reading_.clear();
  ask_for_more();
}

void RemotePrefix::came(uint64_t id, KvBlocks blocks) {
  post({id, std::move(blocks)});
}

void RemotePrefix::ended(uint64_t id) {
  post({id, {}});
}

void RemotePrefix::post(Mail mail) {
  {
    const std::lock_guard lock(mutex_);
    mail_.push_back(std::move(mail));
  }
  wake_();
}

std::vector<RemotePrefix::Waiting>::iterator RemotePrefix::find(uint64_t id) {
  return std::ranges::find_if(waiting_,
                              [&](const Waiting& each) { return each.task->sequence.id == id; });
}

void RemotePrefix::read(const Mail& mail) {
  const auto found = find(mail.id);
  if (found == waiting_.end()) return;  // it was cancelled
  Task& task = *found->task;
  if (mail.blocks.count > 0) {
    store(*found, mail.blocks);
    source_->taken(task.sequence.id, mail.blocks.count);
    return;
  }
  --asked_;
  schedule(end_waiting(found));
}

Task& RemotePrefix::end_waiting(std::vector<Waiting>::iterator waiting) {
  Task& task = *waiting->task;
  schedulers_.end_keep(task.sequence, waiting->kept);
  waiting_.erase(waiting);
  return task;
}

// Fills blocks of the pool that nobody holds; those that are known by now are left out.
void RemotePrefix::store(Waiting& waiting, const KvBlocks& blocks) {
  Task& task = *waiting.task;
  std::vector<int32_t> run;
  for (int64_t i = 0; i <= blocks.count; ++i) {
    const int64_t index = blocks.first + i;
    const int32_t block =
        i < blocks.count ? schedulers_.begin_fill(task.sequence, index) : kNoBlock;
    if (block != kNoBlock) {
      run.push_back(block);
    } else if (!run.empty()) {
      const int64_t first = index - static_cast<int64_t>(run.size());
      const bool filled = write(task, run, first, blocks);
      schedulers_.end_fill(task.sequence, first, run, filled);
    }
  }
  schedulers_.end_keep(task.sequence, waiting.kept);
  schedulers_.keep(task.sequence, waiting.kept);
}

bool RemotePrefix::write(Task& task, const std::vector<int32_t>& run, int64_t first,
                         const KvBlocks& blocks) {
  const size_t bytes = models::kv_block_bytes(format_);
  const auto from = static_cast<size_t>(first - blocks.first) * bytes;
  const auto written = model_.write_kv_blocks(
      task.sequence.replica, run, std::span(blocks.bytes).subspan(from, run.size() * bytes));
  if (!written) log_warning("{}", written.error().message);
  return written.ok();
}

// As long as those who have their blocks are scheduled at once: what came for a longer queue would
// only be evicted again.
void RemotePrefix::ask_for_more() {
  for (auto each = waiting_.begin(); each != waiting_.end() && asked_ < kMaxTransfers;) {
    Task& task = *each->task;
    Sequence& sequence = task.sequence;
    if (each->asked) {
      ++each;
      continue;
    }
    if (schedulers_.num_waiting(sequence) > 0) return;
    const KvGap gap = schedulers_.gap(sequence);
    if (!is_worth_asking(gap)) {
      each = waiting_.erase(each);
      schedule(task);
      continue;
    }
    each->asked = true;
    ++asked_;
    schedulers_.keep(sequence, each->kept);
    task.fetched_from = gap.first;
    const int64_t tokens = (gap.first + gap.blocks) * format_.block_size + 1;
    source_->fetch(sequence.id,
                   {.tokens = {sequence.tokens.begin(), sequence.tokens.begin() + tokens},
                    .cache_salt = sequence.cache_salt,
                    .first_block = gap.first,
                    .blocks = gap.blocks});
    ++each;
  }
}

bool RemotePrefix::is_worth_asking(const KvGap& gap) const {
  return gap.blocks > 0 && gap.blocks * format_.block_size >= min_tokens_;
}

void RemotePrefix::schedule(Task& task) {
  Sequence& sequence = task.sequence;
  schedulers_.stop_expecting(sequence);
  schedulers_.touch(sequence);
  schedulers_.schedule(sequence);
}

}  // namespace fathom::engine
