// A stream: a ring of records and the thread that runs them, in their order, each after a delay
// that is random, bounded and the same in every run of the same calls.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>

#include "backends/cpu/cpu_device.h"
#include "device/abi.h"

namespace fathom::cpu::discrete {

struct Device;

class WorkQueue : public fathom_stream {
 public:
  // What a record does when its turn has come; `arguments` are the record's own.
  using Run = fathom_status (*)(Device& device, WorkQueue& queue, void* arguments);
  // Whether a record runs behind one that failed, too.
  enum class Behind { kIsDropped, kRuns };

  WorkQueue(Device& device, uint64_t seed);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Starts the thread; throws std::system_error where the host has no room for it. stop() lets it
  // end what is queued. A queue that was stopped can be started again.
  void start();
  void stop();
  bool is_running() const { return thread_.joinable(); }

  // Queues a record with a copy of the arguments; waits while the ring is full. Allocates nothing.
  // Fails in place of an earlier record that did. Of a device that is not asynchronous it has run
  // when this returns, and a failure is its own.
  template <typename Arguments>
  fathom_status push(Run run, const Arguments& arguments, Behind behind = Behind::kIsDropped) {
    static_assert(std::is_trivially_copyable_v<Arguments>);
    static_assert(sizeof(Arguments) <= kArgumentBytes && alignof(Arguments) <= kAlignment);
    return push(run, &arguments, sizeof(Arguments), behind);
  }
  // How many records were ever queued: the point behind them.
  uint64_t point();
  void wait_until(uint64_t point);
  // Waits likewise; fails in place of a record before the point that did.
  fathom_status synchronize(uint64_t point);
  // Does not wait; fails likewise.
  fathom_status query(uint64_t point, bool& reached);

  // For the running record's own use: room for kMaxGateExperts.
  fathom_expert* experts() { return experts_.get(); }

 private:
  static constexpr size_t kRecords = 256;
  static constexpr size_t kArgumentBytes = 512;
  static constexpr size_t kAlignment = alignof(std::max_align_t);

  struct Record {
    Run run;
    Behind behind;
    bool loses_device;
    uint64_t epoch;
    alignas(kAlignment) std::byte arguments[kArgumentBytes];
  };

  fathom_status push(Run run, const void* arguments, size_t bytes, Behind behind);
  fathom_status tell_failure();
  fathom_status tell_failure_before(uint64_t point);
  void work();
  fathom_status run_record(Record& record, bool drops);
  void dawdle(bool was_idle);

  Device& device_;
  std::thread thread_;
  std::unique_ptr<Record[]> ring_;
  std::unique_ptr<fathom_expert[]> experts_;
  uint64_t random_;  // of the thread

  std::mutex mutex_;  // guards what follows
  std::condition_variable changed_;
  uint64_t queued_ = 0;
  uint64_t done_ = 0;
  bool stopping_ = false;
  // Failures divide records into epochs: those of the same one that come behind it are dropped.
  uint64_t epoch_ = 1;
  uint64_t failed_epoch_ = 0;
  fathom_status failure_ = FATHOM_OK;  // that nobody was told of
  uint64_t failed_at_ = 0;             // which record, counted from 0
  std::string failure_text_;
};

}  // namespace fathom::cpu::discrete
