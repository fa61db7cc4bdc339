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
  schedulers_.place(task);
  if (!is_worth_asking(schedulers_.gap(task))) {
    schedulers_.schedule(task);
    return;
  }
  schedulers_.expect(task);
  const auto at = std::ranges::upper_bound(waiting_, &task, runs_before, &Waiting::task);
  waiting_.insert(at, {.task = &task});
}

bool RemotePrefix::forget(Task& task) {
  const auto found = find(task.id);
  if (found == waiting_.end()) return false;
  if (found->asked) {
    source_->cancel(task.id);
    --asked_;
  }
  schedulers_.stop_expecting(end_waiting(found));
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
  return std::ranges::find_if(waiting_, [&](const Waiting& each) { return each.task->id == id; });
}

void RemotePrefix::read(const Mail& mail) {
  const auto found = find(mail.id);
  if (found == waiting_.end()) return;  // it was cancelled
  Task& task = *found->task;
  if (mail.blocks.count > 0) {
    store(*found, mail.blocks);
    source_->taken(task.id, mail.blocks.count);
    return;
  }
  --asked_;
  schedule(end_waiting(found));
}

Task& RemotePrefix::end_waiting(std::vector<Waiting>::iterator waiting) {
  Task& task = *waiting->task;
  schedulers_.end_keep(task, waiting->kept);
  waiting_.erase(waiting);
  return task;
}

// Fills blocks of the pool that nobody holds; those that are known by now are left out.
void RemotePrefix::store(Waiting& waiting, const KvBlocks& blocks) {
  Task& task = *waiting.task;
  std::vector<int32_t> run;
  for (int64_t i = 0; i <= blocks.count; ++i) {
    const int64_t index = blocks.first + i;
    const int32_t block = i < blocks.count ? schedulers_.begin_fill(task, index) : kNoBlock;
    if (block != kNoBlock) {
      run.push_back(block);
    } else if (!run.empty()) {
      const int64_t first = index - static_cast<int64_t>(run.size());
      const bool filled = write(task, run, first, blocks);
      schedulers_.end_fill(task, first, run, filled);
    }
  }
  schedulers_.end_keep(task, waiting.kept);
  schedulers_.keep(task, waiting.kept);
}

bool RemotePrefix::write(Task& task, const std::vector<int32_t>& run, int64_t first,
                         const KvBlocks& blocks) {
  const size_t bytes = models::kv_block_bytes(format_);
  const auto from = static_cast<size_t>(first - blocks.first) * bytes;
  const auto written = model_.write_kv_blocks(
      task.replica, run, std::span(blocks.bytes).subspan(from, run.size() * bytes));
  if (!written) log_warning("{}", written.error().message);
  return written.ok();
}

// As long as those who have their blocks are scheduled at once: what came for a longer queue would
// only be evicted again.
void RemotePrefix::ask_for_more() {
  for (auto each = waiting_.begin(); each != waiting_.end() && asked_ < kMaxTransfers;) {
    Task& task = *each->task;
    if (each->asked) {
      ++each;
      continue;
    }
    if (schedulers_.num_waiting(task) > 0) return;
    const KvGap gap = schedulers_.gap(task);
    if (!is_worth_asking(gap)) {
      each = waiting_.erase(each);
      schedule(task);
      continue;
    }
    each->asked = true;
    ++asked_;
    schedulers_.keep(task, each->kept);
    task.fetched_from = gap.first;
    const int64_t tokens = (gap.first + gap.blocks) * format_.block_size + 1;
    source_->fetch(task.id, {.tokens = {task.tokens.begin(), task.tokens.begin() + tokens},
                             .cache_salt = task.cache_salt,
                             .first_block = gap.first,
                             .blocks = gap.blocks});
    ++each;
  }
}

bool RemotePrefix::is_worth_asking(const KvGap& gap) const {
  return gap.blocks > 0 && gap.blocks * format_.block_size >= min_tokens_;
}

void RemotePrefix::schedule(Task& task) {
  schedulers_.stop_expecting(task);
  schedulers_.touch(task);
  schedulers_.schedule(task);
}

}  // namespace fathom::engine
