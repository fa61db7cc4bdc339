// The KV blocks: who holds which, and which of them hold a prefix worth finding again.
//
// A block has as many references as block tables name it. One with none is available, whether or
// not it still holds a published prefix: such blocks are found and shared until they are taken,
// the least recently released first, after all that hold nothing. A block that a step in flight may
// still touch is pinned: whoever needed it is gone, and it is not available yet. One that is kept
// for somebody who will need it is available, but taken only where no other is.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/schedule/block_index.h"

namespace fathom::engine {

class BlockPool {
 public:
  explicit BlockPool(int64_t num_blocks);

  int64_t total() const { return static_cast<int64_t>(blocks_.size()) - 1; }
  int64_t available() const { return available_; }
  int64_t used() const { return used_; }  // those with references; pinned ones may have none

  // One available block, no longer found by what it held; at least one must be available().
  int32_t take();
  // Drops one reference to each of `blocks`, a block table, and empties it. Of a prefix that
  // nobody else holds the end is evicted before the beginning.
  void release(std::vector<int32_t>& blocks);
  // As release(), but that none of them becomes available before unpin(), which gets the same list.
  void release_pinned(std::span<const int32_t> blocks);
  void unpin(std::span<const int32_t> blocks);

  // From now on, until end_keep() gets the same list, other available blocks are taken before
  // these.
  void keep(std::span<const int32_t> blocks);
  void end_keep(std::span<const int32_t> blocks);

  // The block that was published under `hash`, or kNoBlock.
  int32_t find(const Hash128& hash) const { return index_.find(hash); }
  bool is_available(int32_t block) const {
    return at(block).references == 0 && at(block).pins == 0;
  }
  // One more reference to a block that was found.
  void share(int32_t block);
  // Lets a block in use be found. Does nothing where another one already holds the same.
  void publish(int32_t block, const Hash128& hash);

 private:
  // A node of a ring of available blocks, in the order they are taken.
  struct Block {
    int32_t references = 0;
    int32_t pins = 0;
    int32_t keeps = 0;
    int32_t previous = 0;
    int32_t next = 0;
  };

  Block& at(int32_t block) { return blocks_[static_cast<size_t>(block)]; }
  const Block& at(int32_t block) const { return blocks_[static_cast<size_t>(block)]; }
  int32_t ring() const { return static_cast<int32_t>(total()); }
  int32_t next_to_take();
  void link_before(int32_t block, int32_t next);
  void unlink(int32_t block);
  void drop_reference(int32_t block);
  void link_if_available(int32_t block);

  std::vector<Block> blocks_;  // and one more: the ring's beginning and end
  BlockIndex index_;
  int64_t available_ = 0;
  int64_t used_ = 0;
};

}  // namespace fathom::engine
