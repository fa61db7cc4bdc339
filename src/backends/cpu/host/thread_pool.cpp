#include "backends/cpu/host/thread_pool.h"

#include <cstdlib>
#include <new>

#include "backends/cpu/host/host_topology.h"

namespace fathom::cpu {
namespace {

constexpr uint32_t kOpen = 0x8000;
constexpr uint32_t kMembers = 0x7fff;
constexpr uint32_t kLaunchStep = 0x10000;

// How often a waiting thread looks before it sleeps: about 30 us, longer than the gap between two
// kernels of a step and shorter than a time slice that others could use.
constexpr int kSpins = 1000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

void ThreadPool::FreeScratch::operator()(std::byte* memory) const {
  std::free(memory);
}

ThreadPool::ThreadPool(int threads, const std::vector<int>& processors) : threads_(threads) {
  scratch_.reset(static_cast<std::byte*>(
      std::aligned_alloc(64, kScratchBytes * static_cast<size_t>(threads) + kSharedScratchBytes)));
  if (scratch_ == nullptr) throw std::bad_alloc();
  workers_.reserve(static_cast<size_t>(threads - 1));
  try {
    for (int i = 1; i < threads; ++i) {
      const int processor = processors.empty() ? -1 : processors[static_cast<size_t>(i)];
      workers_.emplace_back([this, i, processor] {
        if (processor >= 0) pin_this_thread(processor);
        work(i);
      });
    }
  } catch (...) {
    stop_threads();
    throw;
  }
}

ThreadPool::~ThreadPool() {
  stop_threads();
}

void ThreadPool::stop_threads() {
  stop_.store(true, std::memory_order_release);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();
  for (auto& worker : workers_) worker.join();
}

void ThreadPool::do_tasks(int thread) {
  for (;;) {
    const int64_t index = next_.fetch_add(1, std::memory_order_relaxed);
    if (index >= count_) return;
    task_(context_, index, thread);
  }
}

void ThreadPool::run(int64_t count, Task task, const void* context) {
  if (workers_.empty() || count <= 1) {
    for (int64_t i = 0; i < count; ++i) task(context, i, 0);
    return;
  }
  task_ = task;
  context_ = context;
  count_ = count;
  next_.store(0, std::memory_order_relaxed);
  const uint32_t launch = launch_.load(std::memory_order_relaxed) + kLaunchStep;
  launch_.store(launch | kOpen, std::memory_order_release);
  signal_.fetch_add(1, std::memory_order_release);
  signal_.notify_all();

  do_tasks(0);

  uint32_t now = launch_.fetch_and(~kOpen, std::memory_order_acq_rel) & ~kOpen;
  for (int spin = 0; (now & kMembers) != 0; ++spin) {
    if (spin < kSpins) {
      relax();
    } else {
      launch_.wait(now, std::memory_order_acquire);
    }
    now = launch_.load(std::memory_order_acquire);
  }
}

// Enters the open launch, if there is one this thread was not in yet.
bool ThreadPool::join(uint32_t& last_launch) {
  uint32_t now = launch_.load(std::memory_order_acquire);
  while ((now & kOpen) != 0 && now / kLaunchStep != last_launch) {
    if (launch_.compare_exchange_weak(now, now + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      last_launch = now / kLaunchStep;
      return true;
    }
  }
  return false;
}

void ThreadPool::leave() {
  const uint32_t left = launch_.fetch_sub(1, std::memory_order_acq_rel) - 1;
  if ((left & (kOpen | kMembers)) == 0) launch_.notify_one();
}

void ThreadPool::work(int thread) {
  uint32_t last_launch = 0;
  int spin = 0;
  while (!stop_.load(std::memory_order_acquire)) {
    const uint32_t signal = signal_.load(std::memory_order_acquire);
    if (join(last_launch)) {
      do_tasks(thread);
      leave();
      spin = 0;
    } else if (spin < kSpins) {
      relax();
      ++spin;
    } else if (!stop_.load(std::memory_order_acquire)) {
      signal_.wait(signal, std::memory_order_acquire);
      spin = 0;
    }
  }
}

}  // namespace fathom::cpu
