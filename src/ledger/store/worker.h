// A thread with a connection of its own that does the store's operations in order.
#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "ledger/sql/connection.h"
#include "ledger/store/job.h"

namespace fathom::ledger {

struct WorkerOptions {
  bool writes = true;  // else each operation sees one state of the store, and changes nothing
  size_t queue = 100'000;
  size_t group = 512;  // operations that one commit takes at most
  int group_milliseconds = 5;
  std::function<Time()> store_clock;  // instead of the store's; for tests
  std::function<Time()> own_clock;    // this machine's
};

// Takes what has come while the group before was committed, so that a quiet store answers at once
// and a busy one has few commits.
class Worker {
 public:
  Worker(Connect connect, std::unique_ptr<Connection> connection, WorkerOptions options);
  ~Worker();  // does what waits, once; what the store does not take then fails

  // Never waits. A queue that is full fails the job at once, with kResourceExhausted.
  void submit(std::unique_ptr<Job> job);
  bool connected() const { return connected_.load(); }
  // How far this machine's clock is ahead of the store's.
  Time clock_ahead() const { return clock_ahead_.load(); }

 private:
  using Group = std::vector<std::unique_ptr<Job>>;

  void loop();
  Group take_group();
  void run_group(Group group);
  Status attempt_group(Group& group);
  Status do_group(Group& group);
  Status do_job(Transaction& transaction, Job& job, bool alone);
  Result<Transaction> begin();
  Status connect_again();
  void outage(Group group, const Error& error);
  void pause(int attempts);

  const Connect connect_;
  const WorkerOptions options_;
  std::unique_ptr<Connection> connection_;
  std::mt19937 random_{std::random_device{}()};
  std::atomic<bool> connected_{true};
  std::atomic<Time> clock_ahead_{0};

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> waiting_;
  bool ending_ = false;
  std::thread thread_;  // last: it uses all above
};

}  // namespace fathom::ledger
