#include "backends/emulated/machine.h"

#include <utility>

namespace fathom::emulated {
namespace {

// Fewer are done before a helper has woken up.
constexpr int64_t kLeastShared = 4;

}  // namespace

Machine::Machine(int threads) {
  for (int i = 0; i < threads; ++i) runners_.emplace_back();
  for (int i = 1; i < threads; ++i) {
    helpers_.emplace_back([this, i] { help(runners_[static_cast<size_t>(i)]); });
  }
}

Machine::~Machine() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  for (std::thread& helper : helpers_) helper.join();
}

std::string Machine::run(const Launch& launch) {
  const std::lock_guard alone(one_launch_);
  next_turn_ = 0;
  {
    const std::lock_guard lock(mutex_);
    launch_ = &launch;
    if (launch.blocks() >= kLeastShared) {
      ++launches_;
      helping_ = static_cast<int>(helpers_.size());
      changed_.notify_all();
    }
  }
  take_blocks(runners_.front());
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return helping_ == 0; });
  return std::exchange(report_, {});
}

void Machine::help(BlockRunner& runner) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return launches_ != seen || is_stopping_; });
    if (is_stopping_) return;
    seen = launches_;
    lock.unlock();
    take_blocks(runner);
    lock.lock();
    if (--helping_ == 0) changed_.notify_all();
  }
}

void Machine::take_blocks(BlockRunner& runner) {
  const Launch& launch = *launch_;
  const int64_t count = launch.blocks();
  for (int64_t turn = next_turn_++; turn < count; turn = next_turn_++) {
    std::string report = runner.run(launch, launch.order.block(turn, count));
    if (report.empty()) continue;
    next_turn_ = count;
    const std::lock_guard lock(mutex_);
    if (report_.empty()) report_ = std::move(report);
  }
}

}  // namespace fathom::emulated
