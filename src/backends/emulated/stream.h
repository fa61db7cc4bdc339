// A stream: a ring of work and the thread that does it, in its order, each piece after a delay that
// is random, bounded, and the same in every run of the same calls. While a graph is recorded work
// goes there instead.
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

#include "backends/gpu/kernel_set.h"
#include "device/abi.h"

namespace fathom::emulated {

class EmulatedChip;

class Stream : public gpu::Queue {
 public:
  // What a piece of work does when its turn has come; `arguments` are a copy of the caller's.
  using Run = fathom_status (*)(EmulatedChip& chip, const void* arguments);
  static constexpr size_t kArgumentBytes = 640;

  struct Work {
    Run run;
    bool runs_behind_failure;
    alignas(std::max_align_t) std::byte arguments[kArgumentBytes];
  };
  // What may stand in a graph; what is called for by the host alone may not; and what others wait
  // for runs behind work that failed, too.
  enum class Kind { kRecordable, kHosts, kEvents };

  Stream(EmulatedChip& chip, uint64_t seed);
  // Ends what is queued.
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  // Waits while the ring is full. Tells of work that failed, instead.
  template <typename T>
  fathom_status push(Run run, const T& arguments, Kind kind) {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= kArgumentBytes);
    Work work = {run, kind == Kind::kEvents, {}};
    std::memcpy(work.arguments, &arguments, sizeof(arguments));
    return push_work(work, kind);
  }

  uint64_t point();  // behind all that is queued
  bool is_reached(uint64_t point);
  void wait_until(uint64_t point);
  fathom_status synchronize(uint64_t point);

  fathom_status begin_recording();
  fathom_status end_recording(std::vector<Work>& recorded);
  fathom_status check_not_recording() const;

 private:
  static constexpr size_t kPieces = 256;

  fathom_status push_work(const Work& work, Kind kind);
  fathom_status tell_failure();
  void do_work();
  void dawdle(bool was_idle);

  EmulatedChip& chip_;
  std::unique_ptr<Work[]> ring_;
  uint64_t random_;
  std::mutex mutex_;
  std::condition_variable changed_;
  uint64_t queued_ = 0;
  uint64_t done_ = 0;
  bool is_stopping_ = false;
  fathom_status failure_ = FATHOM_OK;  // not told yet; work is dropped until it is
  uint64_t failed_at_ = 0;
  std::string failure_text_;
  std::optional<std::vector<Work>> recorded_;
  std::thread thread_;
};

}  // namespace fathom::emulated
