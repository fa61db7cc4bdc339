// What the kernels of MLA_PREFILL hand to each other: keys and values are expanded for some heads
// at a time, for all positions that the call's block tables name, and attended then.
#pragma once

#include "backends/gpu/kernels/mla/mla_args.h"
#include "backends/gpu/kernels/mla/mla_sequences.h"
#include "backends/gpu/kernels/product.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

constexpr int kTileQueries = 64;  // of one sequence, that a block attends

// One entry of a block table: the cache block, and how many of its rows are there. Rows 0:
// nobody's.
struct TableEntry {
  int block;
  int rows;
};

// Queries [first, first + kTileQueries) of a sequence, as far as it has them. Sequence -1: none.
struct QueryTile {
  int sequence;
  int first;
};

struct PrefillCall {
  fathom_mla_shape shape;
  Rows<const bf16> q;
  bool is_q_wide;
  LatentCache<const bf16> cache;
  Sequences sequences;
  int64_t max_blocks;
  int32_t tiles;  // room for them
  int32_t heads_at_once;
  Rows<bf16> out;
  // In the workspace:
  Global<int32_t> entries;      // [max_blocks, 2]
  Global<int32_t> query_tiles;  // [tiles, 2]
  // [max_blocks * block_size, heads_at_once, nope + v]: keys without the rotated part, then values
  Global<bf16> expanded;

  GPU_DEVICE int expanded_size() const { return shape.nope_dim + shape.v_dim; }
  GPU_DEVICE TableEntry entry(int64_t i) const {
    const auto numbers = load_vec<2>(entries, 2 * i);
    return {numbers[0], numbers[1]};
  }
  GPU_DEVICE QueryTile query_tile(int64_t i) const {
    const auto numbers = load_vec<2>(query_tiles, 2 * i);
    return {numbers[0], numbers[1]};
  }
};

// By one block.
fathom_status queue_prefill_plan(Queue& queue, const PrefillCall& call);
// Heads [first_head, first_head + heads).
fathom_status queue_prefill_expand(Queue& queue, const PrefillCall& call,
                                   const fathom_weight& wkv_b, int first_head, int heads);
fathom_status queue_prefill_attend(Queue& queue, const PrefillCall& call, int first_head,
                                   int heads);

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
