// Computes grammar masks on a thread of its own while the chip runs a step, so that drawing does
// not wait for them. The thread starts with the first mask.
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

  // Queues the masks of the guide's next token and of the tokens after each draft for the next
  // begin(). Both arguments belong to the worker from begin() to wait().
  void add(Guide& guide, std::span<const TokenId> drafts);
  void begin();
  // Returns when all masks are computed.
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
