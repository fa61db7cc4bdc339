// The KV blocks: which are in use, and which hold a prefix that a later sequence can share.
//
// A block has one reference for each block table that names it. A block without references is
// available, even if it still holds a published prefix: it can be found and shared until it is
// taken. Empty blocks are taken first, then the least recently released. A block that a step in
// flight may still touch after its sequence ended is pinned and not available yet. A block that is
// kept for a sequence to come is available, but taken only if no other is.
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
  int64_t used() const { return used_; }  // blocks with references; pinned ones may have none

  // Takes an available block and unpublishes what it held; at least one must be available().
  int32_t take();
  // Drops one reference to each block of a block table and empties the table. The end of a prefix
  // is evicted before its beginning.
  void release(std::vector<int32_t>& blocks);
  // As release(), but no block becomes available before unpin(), which gets the same list.
  void release_pinned(std::span<const int32_t> blocks);
  void unpin(std::span<const int32_t> blocks);

  // Until end_keep() gets the same list, other available blocks are taken before these.
  void keep(std::span<const int32_t> blocks);
  void end_keep(std::span<const int32_t> blocks);

  // The block that was published under `hash`, or kNoBlock.
  int32_t find(const Hash128& hash) const { return index_.find(hash); }
  bool is_available(int32_t block) const {
    return at(block).references == 0 && at(block).pins == 0;
  }
  // Adds a reference to a block that was found.
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
