// Finds the block of a hash: a hash table with a chain of blocks a bucket, made once for all
// blocks, so that no step allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "base/sip_hash.h"

namespace fathom::engine {

inline constexpr int32_t kNoBlock = -1;

class BlockIndex {
 public:
  explicit BlockIndex(int64_t num_blocks);

  int32_t find(const Hash128& hash) const;  // kNoBlock where it is not there
  bool holds(int32_t block) const { return entries_[static_cast<size_t>(block)].held; }

  // `block` and `hash` must not be in it.
  void insert(int32_t block, const Hash128& hash);
  // `block` must be in it.
  void erase(int32_t block);

 private:
  struct Entry {
    Hash128 hash;
    int32_t next = kNoBlock;  // in the same bucket
    bool held = false;
  };

  // Any bits of a hash do: it is a keyed one.
  size_t bucket_of(const Hash128& hash) const { return hash.low & (buckets_.size() - 1); }

  std::vector<Entry> entries_;    // of each block
  std::vector<int32_t> buckets_;  // first block of each; a power of two
};

}  // namespace fathom::engine
