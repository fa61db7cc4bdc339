// Runs the blocks of a launch one after the other on a thread of the host: each GPU thread is a
// fibre, which goes on until it waits for others.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backends/emulated/device_memory.h"
#include "backends/emulated/fibre.h"
#include "backends/emulated/lane_order.h"
#include "backends/emulated/runtime.h"
#include "backends/emulated/shared_memory.h"

namespace fathom::emulated {

// What all blocks of a launch share.
struct Launch {
  Grid grid;
  void (*body)(const void* arguments);
  const void* arguments;
  const DeviceMemory* memory;
  LaneOrder order;
  bool checks_races;

  int64_t blocks() const { return grid.x * grid.y * grid.z; }
};

class BlockRunner {
 public:
  BlockRunner();

  // Runs one block. What its kernel did wrong, or "".
  std::string run(const Launch& launch, int64_t block);

  int64_t take_multiply_adds() { return std::exchange(multiply_adds_, 0); }

 private:
  friend struct Words;
  enum class State : uint8_t { kReady, kWaits, kEnded };
  struct Warp;

  struct Copy {
    int to;
    int bytes;
    const void* from;  // NULL: zeros
    int group;
  };

  struct Thread {
    Context context = nullptr;
    Place place = {};
    BlockRunner* runner = nullptr;
    Warp* warp = nullptr;
    Thread* next = nullptr;  // of its warp
    State state = State::kReady;
    Site site = {};  // that it waits at
    std::vector<Copy> copies;
    int group = 0;  // of copies that is open
  };

  struct Warp {
    Thread* first = nullptr;
    Warp* next = nullptr;
    int size = 0;
    int ready = 0;
    int arrived = 0;
    Site site = {};  // that all of it come to
    void* lanes[kMostWarp] = {};
  };

  static void enter(Transfer from);
  void begin(const Launch& launch, int64_t block);
  void link(const Launch& launch);
  [[noreturn]] void finish(Thread& me);
  void switch_to(Thread& to);
  Thread* next_ready(Thread& me);
  void wait(Thread& me, Site site);
  void wake(Warp& warp);
  // Ends the block; the fibres stay behind as they are.
  [[noreturn]] void fail(const Thread& me, const std::string& what, Site site);
  [[noreturn]] void fail_stuck();
  std::string place_text(const Thread& thread) const;

  const Launch* launch_ = nullptr;
  int64_t block_ = 0;
  Thread home_;
  std::vector<Thread> threads_;
  std::vector<Warp> warps_;
  Stacks stacks_;
  SharedMemory shared_;
  DeviceMemory::Range range_;  // that was accessed last
  int arrived_ = 0;            // at the block's barrier
  Site site_ = {};
  int live_ = 0;
  int64_t multiply_adds_ = 0;
  std::string report_;
};

}  // namespace fathom::emulated
