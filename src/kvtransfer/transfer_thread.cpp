#include "kvtransfer/transfer_thread.h"

#include <algorithm>
#include <utility>

namespace fathom::kvtransfer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTick(100);
constexpr TransferThread::Seconds kLongestTick(0.25);

}  // namespace

void TransferThread::start(TransportHandler& handler, std::function<void(Seconds)> tick) {
  thread_ = std::thread([this, &handler, tick = std::move(tick)] { run(handler, tick); });
}

void TransferThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    transport_->wake();
  }
  thread_.join();
  transport_.reset();
}

void TransferThread::post(std::function<void()> work) {
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  posted_.push_back(std::move(work));
  transport_->wake();
}

bool TransferThread::do_posted() {
  std::vector<std::function<void()>> posted;
  {
    const std::lock_guard lock(mutex_);
    posted.swap(posted_);
  }
  for (const auto& work : posted) work();
  return !posted.empty();
}

void TransferThread::run(TransportHandler& handler, const std::function<void(Seconds)>& tick) {
  Clock::time_point last = Clock::now();
  while (!stopping_) {
    const bool worked = do_posted();
    if (transport_->progress(handler) || worked) {
      if (Clock::now() - last < kTick) continue;
    } else {
      transport_->wait(kTick);
    }
    const auto now = Clock::now();
    if (now - last < kTick) continue;
    tick(std::min(Seconds(now - last), kLongestTick));
    last = now;
  }
}

}  // namespace fathom::kvtransfer
