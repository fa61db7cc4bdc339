#include "engine/step/mask_worker.h"

namespace fathom::engine {

MaskWorker::~MaskWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void MaskWorker::add(Guide& guide, std::span<const TokenId> drafts) {
  if (!drafts.empty() || !guide.prepared()) jobs_.push_back({&guide, drafts});
}

void MaskWorker::begin() {
  if (jobs_.empty()) return;
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
  {
    const std::lock_guard lock(mutex_);
    working_ = true;
  }
  changed_.notify_all();
}

void MaskWorker::wait() {
  if (jobs_.empty()) return;
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return !working_; });
  jobs_.clear();
}

void MaskWorker::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return working_ || stopping_; });
    if (!working_) return;
    lock.unlock();
    for (const Job& job : jobs_) job.guide->prepare(job.drafts);
    lock.lock();
    working_ = false;
    changed_.notify_all();
  }
}

}  // namespace fathom::engine
