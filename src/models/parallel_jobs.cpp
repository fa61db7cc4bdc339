#include "models/parallel_jobs.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace fathom::models {
namespace {

constexpr auto kIdleInterval = std::chrono::milliseconds(50);

// What the threads share; everything under the mutex.
struct Jobs {
  std::mutex mutex;
  std::condition_variable finished;
  size_t next = 0;
  size_t running_threads = 0;
  std::optional<std::pair<size_t, Error>> failure;

  std::optional<size_t> take(size_t count) {
    const std::lock_guard lock(mutex);
    if (failure || next == count) return std::nullopt;
    return next++;
  }
  void fail(size_t number, const Error& error) {
    const std::lock_guard lock(mutex);
    if (!failure || number < failure->first) failure = {number, error};
  }
};

}  // namespace

int thread_count(int wanted) {
  return wanted > 0 ? wanted : std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

Status run_jobs(size_t count, int threads, const std::function<Status(size_t)>& job,
                const std::function<void()>& idle) {
  Jobs jobs;
  const auto work = [&] {
    while (const auto number = jobs.take(count)) {
      if (auto status = job(*number); !status) jobs.fail(*number, status.error());
    }
    const std::lock_guard lock(jobs.mutex);
    --jobs.running_threads;
    jobs.finished.notify_one();
  };
  jobs.running_threads = std::min(count, static_cast<size_t>(thread_count(threads)));
  std::vector<std::jthread> workers;
  for (size_t i = jobs.running_threads; i > 0; --i) workers.emplace_back(work);
  {
    std::unique_lock lock(jobs.mutex);
    while (
        !jobs.finished.wait_for(lock, kIdleInterval, [&] { return jobs.running_threads == 0; })) {
      lock.unlock();
      idle();
      lock.lock();
    }
  }
  workers.clear();
  idle();
  return jobs.failure ? Status(jobs.failure->second) : Status();
}

}  // namespace fathom::models
