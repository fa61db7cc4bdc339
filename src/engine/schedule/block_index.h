// Maps a hash to its block: a hash table with a chain of blocks per bucket. Its memory is allocated
// once for all blocks, so that no step allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "base/sip_hash.h"

namespace fathom::engine {

inline constexpr int32_t kNoBlock = -1;

class BlockIndex {
 public:
  explicit BlockIndex(int64_t num_blocks);

  int32_t find(const Hash128& hash) const;  // kNoBlock if there is none
  bool holds(int32_t block) const { return entries_[static_cast<size_t>(block)].held; }

  // Neither `block` nor `hash` may be in the table.
  void insert(int32_t block, const Hash128& hash);
  // `block` must be in the table.
  void erase(int32_t block);

 private:
  struct Entry {
    Hash128 hash;
    int32_t next = kNoBlock;  // in the same bucket
    bool held = false;
  };

  // The hash is keyed, so any of its bits will do.
  size_t bucket_of(const Hash128& hash) const { return hash.low & (buckets_.size() - 1); }

  std::vector<Entry> entries_;    // of each block
  std::vector<int32_t> buckets_;  // first block of each; a power of two
};

}  // namespace fathom::engine
