#include "engine/schedule/block_index.h"

#include <bit>

namespace fathom::engine {

BlockIndex::BlockIndex(int64_t num_blocks)
    : entries_(static_cast<size_t>(num_blocks)),
      buckets_(std::bit_ceil(static_cast<size_t>(num_blocks)), kNoBlock) {}

int32_t BlockIndex::find(const Hash128& hash) const {
  int32_t block = buckets_[bucket_of(hash)];
  while (block != kNoBlock && entries_[static_cast<size_t>(block)].hash != hash) {
    block = entries_[static_cast<size_t>(block)].next;
  }
  return block;
}

void BlockIndex::insert(int32_t block, const Hash128& hash) {
  int32_t& first = buckets_[bucket_of(hash)];
  entries_[static_cast<size_t>(block)] = {hash, first, true};
  first = block;
}

void BlockIndex::erase(int32_t block) {
  Entry& entry = entries_[static_cast<size_t>(block)];
  int32_t* link = &buckets_[bucket_of(entry.hash)];
  while (*link != block) link = &entries_[static_cast<size_t>(*link)].next;
  *link = entry.next;
  entry.held = false;
}

}  // namespace fathom::engine
