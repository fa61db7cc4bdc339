#include "backends/emulated/stream.h"

#include <chrono>
#include <utility>

#include "backends/emulated/chip.h"
#include "device/last_error.h"

namespace fathom::emulated {
namespace {

constexpr uint64_t kDelayOneIn = 8;  // pieces of work
constexpr uint64_t kMostDelay = 50;  // microseconds

// SplitMix64 (Steele et al. 2014).
uint64_t next_number(uint64_t& state) {
  uint64_t value = state += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

Stream::Stream(EmulatedChip& chip, uint64_t seed)
    : chip_(chip), ring_(std::make_unique<Work[]>(kPieces)), random_(seed) {
  thread_ = std::thread([this] { do_work(); });
}

Stream::~Stream() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

fathom_status Stream::push_work(const Work& work, Kind kind) {
  if (recorded_) {
    if (kind != Kind::kRecordable) return check_not_recording();
    recorded_->push_back(work);
    return FATHOM_OK;
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queued_ - done_ < kPieces; });
  if (failure_ != FATHOM_OK && kind != Kind::kEvents) return tell_failure();
  ring_[queued_ % kPieces] = work;
  ++queued_;
  changed_.notify_all();
  return FATHOM_OK;
}

uint64_t Stream::point() {
  const std::lock_guard lock(mutex_);
  return queued_;
}

bool Stream::is_reached(uint64_t point) {
  const std::lock_guard lock(mutex_);
  return done_ >= point;
}

void Stream::wait_until(uint64_t point) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= point; });
}

fathom_status Stream::synchronize(uint64_t point) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= point; });
  return failure_ != FATHOM_OK && failed_at_ < point ? tell_failure() : FATHOM_OK;
}

fathom_status Stream::tell_failure() {
  return device::fail(std::exchange(failure_, FATHOM_OK), std::move(failure_text_));
}

fathom_status Stream::begin_recording() {
  if (const auto status = check_not_recording(); status != FATHOM_OK) return status;
  recorded_.emplace();
  return FATHOM_OK;
}

fathom_status Stream::end_recording(std::vector<Work>& recorded) {
  if (!recorded_) {
    return device::fail(FATHOM_INVALID,
                        "emulated: graph_end: expected graph_begin() on the stream before it");
  }
  recorded = *std::exchange(recorded_, std::nullopt);
  return FATHOM_OK;
}

fathom_status Stream::check_not_recording() const {
  if (!recorded_) return FATHOM_OK;
  return device::fail(FATHOM_INVALID,
                      "emulated: expected operators, fill() and copies on the device alone between "
                      "graph_begin() and graph_end()");
}

void Stream::do_work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool was_idle = done_ == queued_;
    changed_.wait(lock, [&] { return done_ != queued_ || is_stopping_; });
    if (done_ == queued_) return;
    const Work& work = ring_[done_ % kPieces];
    const bool is_dropped = failure_ != FATHOM_OK && !work.runs_behind_failure;
    lock.unlock();
    dawdle(was_idle);
    const fathom_status status = is_dropped ? FATHOM_OK : work.run(chip_, work.arguments);
    lock.lock();
    if (status != FATHOM_OK && failure_ == FATHOM_OK) {
      failure_ = status;
      failed_at_ = done_;
      failure_text_ = device::last_error();
    }
    ++done_;
    changed_.notify_all();
  }
}

// The first piece of an idle stream always waits, so that the host goes on before it.
void Stream::dawdle(bool was_idle) {
  const uint64_t number = next_number(random_);
  if (!was_idle && number % kDelayOneIn != 0) return;
  std::this_thread::sleep_for(std::chrono::microseconds((number >> 32) % (kMostDelay + 1)));
}

}  // namespace fathom::emulated
