// The shared memory of the block that runs: poison when it begins, and a check for races. An access
// races with another thread's of the same bytes, one of them a store, where no barrier of the
// block, nor of their common warp, lies between.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "backends/emulated/runtime.h"

namespace fathom::emulated {

class SharedMemory {
 public:
  SharedMemory();

  // `warp` lanes are a warp. Fills it with what is no number in any format.
  void begin_block(int bytes, int warp, bool checks_races);
  void block_barrier() { last_block_barrier_ = ++now_; }
  void warp_barrier(int warp) { last_warp_barrier_[static_cast<size_t>(warp)] = ++now_; }

  int bytes() const { return bytes_; }
  std::byte* at(int byte) { return memory_.data() + byte; }

  // The thread that an access races with. The range is in bounds.
  std::optional<int> note_read(int thread, int byte, int bytes);
  std::optional<int> note_write(int thread, int byte, int bytes);

 private:
  static constexpr int kGranule = 2;  // bytes
  enum class Readers : uint8_t { kOne, kWarp, kMany };

  // Who was at a granule last, and when.
  struct Tag {
    uint32_t written = 0;
    uint32_t read = 0;
    uint16_t writer = 0;
    uint16_t reader = 0;
    Readers readers = Readers::kOne;
  };

  bool is_before(uint32_t when, int by, int thread) const;
  bool are_reads_before(const Tag& tag, int thread) const;

  std::vector<std::byte> memory_;
  std::vector<Tag> tags_;
  std::vector<uint32_t> last_warp_barrier_;
  uint32_t last_block_barrier_ = 0;
  uint32_t now_ = 0;
  int bytes_ = 0;
  int warp_ = 1;
  bool checks_races_ = true;
};

}  // namespace fathom::emulated
