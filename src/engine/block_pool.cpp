#include "engine/block_pool.h"

#include <string>

#include "base/check.h"

namespace fathom::engine {

BlockPool::BlockPool(int64_t num_blocks) : taken_(static_cast<size_t>(num_blocks), false) {
  free_.reserve(static_cast<size_t>(num_blocks));
  for (int64_t block = num_blocks - 1; block >= 0; --block) {
    free_.push_back(static_cast<int32_t>(block));
  }
}

int32_t BlockPool::take() {
  FATHOM_CHECK(!free_.empty(), "block pool: expected a free block, got none");
  const int32_t block = free_.back();
  free_.pop_back();
  taken_[static_cast<size_t>(block)] = true;
  return block;
}

void BlockPool::release(std::vector<int32_t>& blocks) {
  for (const int32_t block : blocks) {
    FATHOM_CHECK(block >= 0 && block < total() && taken_[static_cast<size_t>(block)],
                 "block pool: expected a taken block, got " + std::to_string(block));
    taken_[static_cast<size_t>(block)] = false;
    free_.push_back(block);
  }
  blocks.clear();
}

}  // namespace fathom::engine
