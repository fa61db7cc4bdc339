// The store: one thread that writes, some that read, and nobody who waits for them.
#pragma once

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ledger/store/job.h"
#include "ledger/store/worker.h"

namespace fathom::ledger {

struct StoreOptions {
  int readers = 2;
  WorkerOptions worker;  // what it says of writing is set by the store
};

class Store {
 public:
  // Connects and migrates. Blocks; everything else does not. The error says what is wrong with the
  // store and what to do.
  static Result<std::unique_ptr<Store>> open(const std::string& where, StoreOptions options = {});
  ~Store();

  // Does `work` in the next group, and calls `done` on the writer's thread when it is committed,
  // or, with an error, when nothing of it is. `order` is the organisation, where there is one.
  template <typename T>
  void write(std::string order, Patience patience, typename JobOf<T>::Work work,
             typename JobOf<T>::Done done) {
    auto job = std::make_unique<JobOf<T>>(std::move(work), std::move(done));
    job->order = std::move(order);
    job->patience = patience;
    writer_->submit(std::move(job));
  }

  // The same without changes, on a reader's thread.
  template <typename T>
  void read(typename JobOf<T>::Work work, typename JobOf<T>::Done done) {
    next_reader().submit(std::make_unique<JobOf<T>>(std::move(work), std::move(done)));
  }

  // For commands and tests, which may wait.
  template <typename T>
  Result<T> write_and_wait(std::string order, typename JobOf<T>::Work work) {
    std::promise<Result<T>> promise;
    auto future = promise.get_future();
    write<T>(std::move(order), Patience::kRefuse, std::move(work),
             [&promise](Result<T> result) { promise.set_value(std::move(result)); });
    return future.get();
  }
  template <typename T>
  Result<T> read_and_wait(typename JobOf<T>::Work work) {
    std::promise<Result<T>> promise;
    auto future = promise.get_future();
    read<T>(std::move(work),
            [&promise](Result<T> result) { promise.set_value(std::move(result)); });
    return future.get();
  }

  // Whether the last group reached the store.
  bool connected() const { return writer_->connected(); }
  Time clock_ahead() const { return writer_->clock_ahead(); }

 private:
  Store() = default;
  Worker& next_reader();

  std::atomic<size_t> turn_{0};
  std::vector<std::unique_ptr<Worker>> readers_;
  std::unique_ptr<Worker> writer_;
};

}  // namespace fathom::ledger
