#include "backends/cpu/discrete/work_queue.h"

#include <sys/prctl.h>

#include <chrono>
#include <new>
#include <utility>

#include "backends/cpu/checks/check_parts.h"
#include "backends/cpu/discrete/discrete_device.h"
#include "backends/cpu/kernels/moe_gate_limits.h"
#include "device/last_error.h"

namespace fathom::cpu::discrete {
namespace {

constexpr uint64_t kDelayOneIn = 8;  // records

// SplitMix64 (Steele et al. 2014).
uint64_t next_random(uint64_t& state) {
  uint64_t value = state += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

}  // namespace

WorkQueue::WorkQueue(Device& device, uint64_t seed)
    : device_(device),
      ring_(std::make_unique<Record[]>(kRecords)),
      experts_(std::make_unique_for_overwrite<fathom_expert[]>(kMaxGateExperts)),
      random_(seed) {}

WorkQueue::~WorkQueue() {
  stop();
}

void WorkQueue::start() {
  stopping_ = false;
  recorded_.reset();
  if (failure_ != FATHOM_OK) tell_failure();  // to nobody: the stream that had it is gone
  thread_ = std::thread([this] { work(); });
}

void WorkQueue::stop() {
  if (!is_running()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

fathom_status WorkQueue::push(const Work& work, Behind behind) {
  FATHOM_CPU_TRY(check_not_recording("what was called"));
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return queued_ - done_ < kRecords; });
  if (failure_ != FATHOM_OK) return tell_failure();
  Record& record = ring_[queued_ % kRecords];
  record = {work, behind, device_.loses_at_next_record(), epoch_};
  ++queued_;
  changed_.notify_all();
  if (device_.options.has(Part::kAsynchronous)) return FATHOM_OK;
  changed_.wait(lock, [&] { return done_ == queued_; });
  return tell_failure_before(queued_);
}

fathom_status WorkQueue::record(const Work& work) try {
  recorded_->push_back(work);
  return FATHOM_OK;
} catch (const std::bad_alloc&) {
  return device::fail(FATHOM_NO_MEMORY, "cpu-discrete graph: no memory");
}

std::vector<WorkQueue::Work> WorkQueue::end_recording() {
  return *std::exchange(recorded_, std::nullopt);
}

fathom_status WorkQueue::check_not_recording(const char* call) const {
  if (!is_recording()) return FATHOM_OK;
  return invalid(
      "cpu-discrete: {}: expected operators, fill() and copies on the device alone between "
      "graph_begin() and graph_end()",
      call);
}

uint64_t WorkQueue::point() {
  const std::lock_guard lock(mutex_);
  return queued_;
}

void WorkQueue::wait_until(uint64_t point) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= point; });
}

fathom_status WorkQueue::synchronize(uint64_t point) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return done_ >= point; });
  return tell_failure_before(point);
}

fathom_status WorkQueue::query(uint64_t point, bool& reached) {
  const std::lock_guard lock(mutex_);
  reached = done_ >= point;
  return reached ? tell_failure_before(point) : FATHOM_OK;
}

// What a lost device left undone looks done.
fathom_status WorkQueue::tell_failure_before(uint64_t point) {
  if (device_.lost) return tell_loss();
  return failure_ != FATHOM_OK && failed_at_ < point ? tell_failure() : FATHOM_OK;
}

fathom_status WorkQueue::tell_failure() {
  ++epoch_;
  return device::fail(std::exchange(failure_, FATHOM_OK), std::move(failure_text_));
}

void WorkQueue::work() {
  prctl(PR_SET_TIMERSLACK, 1);  // delays are as short as they say
  std::unique_lock lock(mutex_);
  for (;;) {
    const bool was_idle = done_ == queued_;
    changed_.wait(lock, [&] { return done_ != queued_ || stopping_; });
    if (done_ == queued_) return;
    Record& record = ring_[done_ % kRecords];
    const bool drops = record.epoch <= failed_epoch_;
    lock.unlock();
    dawdle(was_idle);
    const fathom_status status = run_record(record, drops);
    lock.lock();
    if (status != FATHOM_OK) {
      failure_ = status;
      failed_at_ = done_;
      failure_text_ = device::last_error();
      failed_epoch_ = record.epoch;
    }
    ++done_;
    changed_.notify_all();
  }
}

fathom_status WorkQueue::run_record(Record& record, bool drops) {
  if (record.loses_device) device_.lost = true;
  if (record.behind == Behind::kIsDropped && (drops || device_.lost)) return FATHOM_OK;
  return record.work.run(device_, *this, record.work.arguments);
}

// The first record of a queue that was empty always waits, so that the host goes on before it.
void WorkQueue::dawdle(bool was_idle) {
  const uint64_t random = next_random(random_);
  if (!was_idle && random % kDelayOneIn != 0) return;
  std::this_thread::sleep_for(
      std::chrono::microseconds((random >> 32) % (device_.options.most_delay_us + 1)));
}

}  // namespace fathom::cpu::discrete
