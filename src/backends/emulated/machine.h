// The host's threads that run blocks. One launch at a time has all of them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "backends/emulated/block_runner.h"

namespace fathom::emulated {

class Machine {
 public:
  explicit Machine(int threads);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  // Runs all blocks, in the launch's order if there is one thread. What the first one that went
  // wrong did, or "".
  std::string run(const Launch& launch);

 private:
  void help(BlockRunner& runner);
  void take_blocks(BlockRunner& runner);

  std::deque<BlockRunner> runners_;  // the caller's is the first
  std::mutex one_launch_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const Launch* launch_ = nullptr;
  uint64_t launches_ = 0;
  int helping_ = 0;
  bool is_stopping_ = false;
  std::string report_;
  std::atomic<int64_t> next_turn_ = 0;
  std::vector<std::thread> helpers_;
};

}  // namespace fathom::emulated
