// What one rank knows of the life and progress of all ranks, and whom it holds to be lost. The
// engine's thread, the heart and the watch share it; every function may be called from any.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "comm/progress.h"

namespace fathom::comm {

using Milliseconds = std::chrono::milliseconds;

// A rank that is lost, in words for the log. rank -1: which one is not known.
struct Finding {
  int rank = -1;
  Loss loss = Loss::kNone;
  std::string text;
};

class Health {
 public:
  Health(int rank, int size);

  int rank() const { return rank_; }
  int size() const { return static_cast<int>(peers_.size()); }

  // Time while this process ran. The watch, which counts it, leaves out pauses of the process or
  // the machine, so that ranks which are paused together do not find each other silent when they go
  // on.
  void tick(Milliseconds passed);
  Milliseconds now() const { return Milliseconds(now_ms_.load(std::memory_order_relaxed)); }

  // Where ranks are; begins to count their silence.
  void set_places(std::vector<std::string> places);

  // --- This rank's operations. Of `operation` the fields from `step` to `signature` count.
  void enter(const Progress& operation);
  void leave();
  void finish();

  // --- News of others.
  Progress own() const;
  void hear(const Progress& news, Milliseconds age);
  std::vector<Progress> table() const;  // of all ranks, with age_ms; this one's own included
  bool others_finished() const;

  // --- Judgement.
  // Whom others accuse, who was silent for longer than `patience`, or who is in another operation.
  std::optional<Finding> judge(Milliseconds patience) const;
  // Who of `awaited` keeps this rank's operation from being done by its deadline.
  Finding blame_late(std::span<const int> awaited, Milliseconds deadline) const;
  // For what was seen by other means.
  Finding blame(int rank, Loss loss, const std::string& why) const;
  bool finished(int rank) const;
  // "the longest silence is that of rank 3 (host a, pid 7), 0.4 s; its last known operation: ...".
  std::string quietest() const;

  // Makes `finding` this rank's: operations fail from now on, the heart tells the others. The first
  // one stays.
  void declare(Finding finding);
  bool broken() const { return broken_.load(std::memory_order_acquire); }
  std::optional<Finding> finding() const;
  // The finding as what an operation returns. Only where there is one.
  Error error() const;

  // Waits for a finding, or for the end of this rank's part, or until the time is over.
  void wait_for_change(Milliseconds time);

 private:
  struct Peer {
    Progress progress;
    std::string place;  // "host node7, pid 4711"
    Milliseconds heard{0};
  };

  std::string name(int rank) const;
  std::string last_operation(int rank) const;
  Finding make(int rank, Loss loss, const std::string& why) const;
  Milliseconds silence(int rank) const { return now() - peers_[static_cast<size_t>(rank)].heard; }
  std::optional<Finding> accused_by_others() const;
  std::optional<Finding> silent(Milliseconds patience) const;
  std::optional<Finding> mismatched() const;
  Progress snapshot() const;

  const int rank_;
  std::atomic<int64_t> now_ms_{0};
  std::atomic<bool> broken_{false};
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Peer> peers_;
  Milliseconds phase_began_{0};
  bool places_known_ = false;
  std::optional<Finding> finding_;
};

}  // namespace fathom::comm
