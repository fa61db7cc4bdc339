#include "engine/schedule/block_pool.h"

#include <string>

#include "base/check.h"

namespace fathom::engine {

BlockPool::BlockPool(int64_t num_blocks)
    : blocks_(static_cast<size_t>(num_blocks) + 1), index_(num_blocks) {
  at(ring()).previous = at(ring()).next = ring();
  for (int32_t block = 0; block < ring(); ++block) link_before(block, ring());
}

int32_t BlockPool::take() {
  FATHOM_CHECK(available_ > 0, "block pool: expected a free block, got none");
  const int32_t block = next_to_take();
  unlink(block);
  if (index_.holds(block)) index_.erase(block);
  at(block).references = 1;
  ++used_;
  return block;
}

// Blocks that are kept go behind the others, as if they had been released just now: each is passed
// once until others were taken.
int32_t BlockPool::next_to_take() {
  int32_t block = at(ring()).next;
  for (int64_t passed = 0; passed < available_ && at(block).keeps > 0; ++passed) {
    const int32_t next = at(block).next;
    unlink(block);
    link_before(block, ring());
    block = next;
  }
  return block == ring() ? at(ring()).next : block;
}

void BlockPool::release(std::vector<int32_t>& blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    drop_reference(*block);
    link_if_available(*block);
  }
  blocks.clear();
}

void BlockPool::release_pinned(std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) {
    drop_reference(block);
    ++at(block).pins;
  }
}

void BlockPool::unpin(std::span<const int32_t> blocks) {
  for (auto block = blocks.rbegin(); block != blocks.rend(); ++block) {
    FATHOM_CHECK(at(*block).pins > 0, "block pool: expected a pinned block to unpin");
    --at(*block).pins;
    link_if_available(*block);
  }
}

void BlockPool::keep(std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) ++at(block).keeps;
}

void BlockPool::end_keep(std::span<const int32_t> blocks) {
  for (const int32_t block : blocks) {
    FATHOM_CHECK(at(block).keeps > 0, "block pool: expected a block that is kept");
    --at(block).keeps;
  }
}

void BlockPool::share(int32_t block) {
  FATHOM_CHECK(index_.holds(block), "block pool: expected a published block to share");
  if (is_available(block)) unlink(block);
  if (at(block).references++ == 0) ++used_;
}

void BlockPool::publish(int32_t block, const Hash128& hash) {
  FATHOM_CHECK(at(block).references > 0, "block pool: expected a block in use to publish");
  if (!index_.holds(block) && find(hash) == kNoBlock) index_.insert(block, hash);
}

void BlockPool::drop_reference(int32_t block) {
  FATHOM_CHECK(block >= 0 && block < total() && at(block).references > 0,
               "block pool: expected a taken block, got " + std::to_string(block));
  if (--at(block).references == 0) --used_;
}

void BlockPool::link_if_available(int32_t block) {
  if (!is_available(block)) return;
  link_before(block, index_.holds(block) ? ring() : at(ring()).next);
}

void BlockPool::link_before(int32_t block, int32_t next) {
  const int32_t previous = at(next).previous;
  at(block).previous = previous;
  at(block).next = next;
  at(previous).next = block;
  at(next).previous = block;
  ++available_;
}

void BlockPool::unlink(int32_t block) {
  at(at(block).previous).next = at(block).next;
  at(at(block).next).previous = at(block).previous;
  --available_;
}

}  // namespace fathom::engine
