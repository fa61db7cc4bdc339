// The free list of KV blocks. Every block number is either here or in one sequence's block table.
#pragma once

#include <cstdint>
#include <vector>

namespace fathom::engine {

class BlockPool {
 public:
  explicit BlockPool(int64_t num_blocks);

  int64_t total() const { return static_cast<int64_t>(taken_.size()); }
  int64_t available() const { return static_cast<int64_t>(free_.size()); }
  int64_t used() const { return total() - available(); }

  // One free block; at least one must be available().
  int32_t take();
  // Takes back all of `blocks` and empties it.
  void release(std::vector<int32_t>& blocks);

 private:
  std::vector<int32_t> free_;  // used as a stack; its capacity never grows
  std::vector<bool> taken_;
};

}  // namespace fathom::engine
