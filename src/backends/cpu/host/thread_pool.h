// The host threads of one device. One engine thread calls run(); it does its share of the work
// itself, as thread 0.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <thread>
#include <vector>

namespace fathom::cpu {

class ThreadPool {
 public:
  // Does the part of the work that `index` names, on the given thread of the pool.
  using Task = void (*)(const void* context, int64_t index, int thread);

  // What each thread has for its own use inside a task, aligned to 64 bytes.
  static constexpr size_t kScratchBytes = size_t{1} << 20;
  // What all of them share, for the caller to fill between two runs.
  static constexpr size_t kSharedScratchBytes = size_t{8} << 20;

  // Threads but the caller's stay on their own one of `processors`, if there are any. The caller's,
  // whose own threads would stay with it, is left to find the processor that is free. Throws
  // std::system_error or std::bad_alloc where the host has no room for them.
  explicit ThreadPool(int threads, const std::vector<int>& processors = {});
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const { return threads_; }
  std::byte* scratch(int thread) { return scratch_.get() + kScratchBytes * thread; }
  std::byte* shared_scratch() { return scratch(threads_); }

  // Calls task(context, i, thread) once for each i in [0, count), in any order, and returns when
  // all are done. Allocates nothing. Runs on the caller alone where that is all there is to use.
  void run(int64_t count, Task task, const void* context);

 private:
  struct FreeScratch {
    void operator()(std::byte* memory) const;
  };

  void work(int thread);
  bool join(uint32_t& last_launch);
  void leave();
  void do_tasks(int thread);
  void stop_threads();

  int threads_;
  std::unique_ptr<std::byte[], FreeScratch> scratch_;

  // Written by the caller while no launch is open, read by threads that joined one.
  Task task_ = nullptr;
  const void* context_ = nullptr;
  int64_t count_ = 0;

  alignas(64) std::atomic<int64_t> next_{0};
  // The launch: its number in the high half, then whether it may be joined, then how many threads
  // are in it. A thread that wakes too late finds it closed and goes back to sleep, so that the
  // caller never waits for a thread that has nothing to do.
  alignas(64) std::atomic<uint32_t> launch_{0};
  alignas(64) std::atomic<uint32_t> signal_{0};
  std::atomic<bool> stop_{false};
  std::vector<std::thread> workers_;
};

// body(index, thread) for each index in [0, count).
template <typename Body>
void parallel_for(ThreadPool& pool, int64_t count, const Body& body) {
  pool.run(
      count,
      [](const void* context, int64_t index, int thread) {
        (*static_cast<const Body*>(context))(index, thread);
      },
      &body);
}

}  // namespace fathom::cpu
