// Finds the leading blocks of a sequence that are already computed, by a chain of hashes: a full
// block's hash covers the hash of the block before it, its tokens and, if only bit-identical blocks
// may be shared, how many of its rows were given. The chain begins with the sequence's salt. The
// hash is keyed with a secret drawn at the start, so nobody can construct a collision.
//
// The MTP layer's latents lie in the same blocks. The last one in a shared block is of the token
// that followed for whoever computed it, which may be another one here. Only drafts see that,
// never an answer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/schedule/block_pool.h"
#include "engine/sequence/sequence.h"

namespace fathom::engine {

struct PrefixCacheOptions {
  bool enabled = true;
  // Given and generated rows of the same tokens differ in their last bits: share a block only
  // where the same rows of it were given.
  bool exact = false;
  int64_t block_size = 0;  // tokens
};

// The secret of the hashes. Caches with the same keys compute the same hashes.
struct PrefixKeys {
  SipKey salt;
  SipKey block;
};
PrefixKeys random_prefix_keys();

// The leading blocks of a sequence that were found.
struct PrefixMatch {
  int64_t blocks = 0;
  int64_t in_use = 0;  // how many of them are not available: others hold them, or a step does
};

// Leading blocks of a sequence, computed from given tokens alone, that are not cached.
struct KvGap {
  int64_t first = 0;
  int64_t blocks = 0;
};

class PrefixCache {
 public:
  PrefixCache(const PrefixCacheOptions& options, const PrefixKeys& keys, BlockPool& pool);

  // For a sequence without blocks. Leaves out rows whose logits are wanted.
  PrefixMatch match(Sequence& sequence);
  // Starts the sequence's block table with the blocks that match() just found.
  void adopt(Sequence& sequence, const PrefixMatch& match);
  // Publishes the blocks that became full since the sequence had `computed` rows.
  void publish(Sequence& sequence, int64_t computed);

  // For blocks that come from elsewhere, of a sequence without blocks: those behind match().
  KvGap gap(Sequence& sequence);
  // A block of the pool for the sequence's block `index`; kNoBlock where that one is known already
  // or none is available.
  int32_t begin_fill(Sequence& sequence, int64_t index);
  // Lets go of `blocks`, for the sequence's from `first` on; where they were filled, they are found
  // from now on. Empties the list.
  void end_fill(Sequence& sequence, int64_t first, std::vector<int32_t>& blocks, bool filled);
  // Adds what match() finds to `kept`, for BlockPool::keep() until end_keep() gets the list.
  void keep(Sequence& sequence, std::vector<int32_t>& kept);
  // Moves the blocks that match() finds to the end of the eviction order.
  void touch(Sequence& sequence);

 private:
  void hash_blocks(Sequence& sequence, int64_t count);
  Hash128 hash_of_block(const Sequence& sequence, int64_t block);
  void append(const void* data, size_t size);

  PrefixCacheOptions options_;
  BlockPool& pool_;
  PrefixKeys keys_;
  std::vector<std::byte> message_;  // reused
};

}  // namespace fathom::engine
