// Finds masks on a thread of its own while the chip runs a step, so that sampling does not wait for
// them. The thread starts with the first mask that has to be found.
#pragma once

#include <condition_variable>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "engine/sequence/guide.h"

namespace fathom::engine {

class MaskWorker {
 public:
  MaskWorker() = default;
  ~MaskWorker();
  MaskWorker(const MaskWorker&) = delete;
  MaskWorker& operator=(const MaskWorker&) = delete;

  // For the next begin(): the masks of the guide's next token and of those behind `drafts`. Both
  // are the worker's alone from begin() to wait().
  void add(Guide& guide, std::span<const TokenId> drafts);
  void begin();
  // Returns when all is found.
  void wait();

 private:
  struct Job {
    Guide* guide;
    std::span<const TokenId> drafts;
  };
  void run();

  std::vector<Job> jobs_;  // the thread's while working_
  std::mutex mutex_;       // guards all below
  std::condition_variable changed_;
  bool working_ = false;
  bool stopping_ = false;

  std::thread thread_;
};

}  // namespace fathom::engine
