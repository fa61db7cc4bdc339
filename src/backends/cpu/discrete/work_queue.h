// A stream: a ring of records and the thread that runs them, in their order, each after a delay
// that is random, bounded and the same in every run of the same calls. While a graph is recorded
// (graphs.h) work goes there.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

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

  static constexpr size_t kArgumentBytes = 640;
  static constexpr size_t kAlignment = alignof(std::max_align_t);

  struct Work {
    Run run;
    alignas(kAlignment) std::byte arguments[kArgumentBytes];
  };

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
    return push(work_of(run, arguments), behind);
  }
  // Likewise; while a graph is recorded, this is its next work.
  template <typename Arguments>
  fathom_status push_or_record(Run run, const Arguments& arguments) {
    const Work work = work_of(run, arguments);
    return is_recording() ? record(work) : push(work, Behind::kIsDropped);
  }
  // How many records were ever queued: the point behind them.
  uint64_t point();
  void wait_until(uint64_t point);
  // Waits likewise; fails in place of a record before the point that did.
  fathom_status synchronize(uint64_t point);
  // Does not wait; fails likewise.
  fathom_status query(uint64_t point, bool& reached);

  // Until end_recording(), which returns them, work is kept in its order and does not run; push()
  // fails. Both and what is between are called by one thread.
  void begin_recording() { recorded_.emplace(); }
  std::vector<Work> end_recording();
  bool is_recording() const { return recorded_.has_value(); }
  // FATHOM_INVALID with the name of a call that no graph can hold, while one is recorded.
  fathom_status check_not_recording(const char* call) const;

  // For the running record's own use: room for kMaxGateExperts.
  fathom_expert* experts() { return experts_.get(); }

 private:
  static constexpr size_t kRecords = 256;

  struct Record {
    Work work;
    Behind behind;
    bool loses_device;
    uint64_t epoch;
  };

  template <typename Arguments>
  static Work work_of(Run run, const Arguments& arguments) {
    static_assert(std::is_trivially_copyable_v<Arguments>);
    static_assert(sizeof(Arguments) <= kArgumentBytes && alignof(Arguments) <= kAlignment);
    Work work = {run, {}};
    std::memcpy(work.arguments, &arguments, sizeof(arguments));
    return work;
  }
  fathom_status push(const Work& work, Behind behind);
  fathom_status record(const Work& work);
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
  std::optional<std::vector<Work>> recorded_;

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
