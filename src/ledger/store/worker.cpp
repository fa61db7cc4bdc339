#include "ledger/store/worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/log.h"

namespace fathom::ledger {

namespace {

using std::chrono::milliseconds;
constexpr int kMostRetries = 20;
constexpr int kLongestPause = 500;  // milliseconds

}  // namespace

Worker::Worker(Connect connect, std::unique_ptr<Connection> connection, WorkerOptions options)
    : connect_(std::move(connect)),
      options_(std::move(options)),
      connection_(std::move(connection)),
      thread_([this] { loop(); }) {}

Worker::~Worker() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void Worker::submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    // What has happened must be recorded, however long the queue.
    if (waiting_.size() < options_.queue || job->patience == Patience::kWait) {
      waiting_.push_back(std::move(job));
    }
  }
  if (job != nullptr) {
    job->fail({ErrorCode::kResourceExhausted, "store: expected fewer operations at once"});
    return;
  }
  changed_.notify_one();
}

void Worker::loop() {
  for (Group group = take_group(); !group.empty(); group = take_group()) {
    run_group(std::move(group));
  }
}

Worker::Group Worker::take_group() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
  Group group;
  while (!waiting_.empty() && group.size() < options_.group) {
    group.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  lock.unlock();
  std::stable_sort(group.begin(), group.end(),
                   [](const auto& a, const auto& b) { return a->order < b->order; });
  return group;
}

void Worker::run_group(Group group) {
  while (!group.empty()) {
    // How many of the group one commit has taken: the others go on in the next.
    Group part;
    std::swap(part, group);
    const Status done = attempt_group(part);
    for (auto& job : part) {
      if (job == nullptr) continue;
      group.push_back(std::move(job));
    }
    if (done) continue;
    outage(std::move(group), done.error());
    return;
  }
}

// Tells what is done, which is then null in `group`. An error is an outage.
Status Worker::attempt_group(Group& group) {
  Status done;
  for (int attempts = 0; attempts < kMostRetries; ++attempts) {
    if (connection_ == nullptr) FATHOM_TRY(connect_again());
    connection_->forget_trouble();
    done = do_group(group);
    if (done) return {};
    if (connection_->trouble() == Trouble::kLost) {
      // Only a second connection tells whether the store is down.
      connection_.reset();
      if (attempts > 0) break;
      continue;
    }
    if (auto undone = connection_->control("ROLLBACK"); !undone) connection_.reset();
    pause(attempts);
  }
  return done;
}

Result<Transaction> Worker::begin() {
  FATHOM_TRY(options_.writes ? connection_->begin_write() : connection_->begin_read());
  Transaction transaction{.sql = *connection_};
  const Time own = options_.own_clock();
  if (options_.store_clock) {
    transaction.now = options_.store_clock();
  } else if (connection_->has_own_clock()) {
    FATHOM_ASSIGN(transaction.now, connection_->now());
  } else {
    transaction.now = own;
  }
  transaction.clock_ahead = own - transaction.now;
  clock_ahead_ = transaction.clock_ahead;
  return transaction;
}

Status Worker::do_group(Group& group) {
  FATHOM_ASSIGN(Transaction transaction, begin());
  const auto until = std::chrono::steady_clock::now() + milliseconds(options_.group_milliseconds);
  size_t taken = 0;
  while (taken < group.size()) {
    FATHOM_TRY(do_job(transaction, *group[taken], group.size() == 1));
    ++taken;
    if (!options_.writes || std::chrono::steady_clock::now() >= until) break;
  }
  FATHOM_TRY(connection_->control("COMMIT"));
  connected_ = true;
  for (size_t i = 0; i < taken; ++i) {
    std::exchange(group[i], nullptr)->finish();
  }
  return {};
}

// An error where the whole transaction has failed. A job that is refused is undone by itself, and
// one that is alone by the end of its transaction.
Status Worker::do_job(Transaction& transaction, Job& job, bool alone) {
  const bool savepoint = options_.writes && !alone;
  if (savepoint) FATHOM_TRY(connection_->control("SAVEPOINT job"));
  const bool keep = job.attempt(transaction);
  if (connection_->trouble() != Trouble::kNone) {
    return Error{ErrorCode::kUnavailable, "store: the transaction failed"};
  }
  if (savepoint) {
    if (!keep) FATHOM_TRY(connection_->control("ROLLBACK TO SAVEPOINT job"));
    return connection_->control("RELEASE SAVEPOINT job");
  }
  if (keep) return {};
  FATHOM_TRY(connection_->control("ROLLBACK"));
  // For the COMMIT that follows.
  return options_.writes ? connection_->begin_write() : connection_->begin_read();
}

Status Worker::connect_again() {
  auto connection = connect_();
  if (!connection) {
    connected_ = false;
    return connection.error();
  }
  connection_ = std::move(*connection);
  return {};
}

// What can wait goes back to the head of the queue, in its order; the rest is refused.
void Worker::outage(Group group, const Error& error) {
  if (connected_.exchange(false)) log_error("the store is down: {}", error.message);
  const Error told{ErrorCode::kUnavailable, "store: expected it to answer, got: " + error.message};
  std::unique_lock lock(mutex_);
  // Those behind them in the queue would wait as long.
  for (auto& job : waiting_) group.push_back(std::move(job));
  waiting_.clear();
  Group refused;
  for (auto& job : group) {
    const bool waits = job->patience == Patience::kWait && !ending_;
    if (waits) {
      waiting_.push_back(std::move(job));
    } else {
      refused.push_back(std::move(job));
    }
  }
  lock.unlock();
  for (auto& job : refused) job->fail(told);
  pause(kMostRetries);
}

// Longer after each failure, and not the same for two that are in each other's way. Ends early when
// the worker ends.
void Worker::pause(int attempts) {
  const int most = std::min(kLongestPause, 1 << std::min(attempts, 9));
  const int now = std::uniform_int_distribution<int>(most / 2, most)(random_);
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, milliseconds(now), [this] { return ending_; });
}

}  // namespace fathom::ledger
