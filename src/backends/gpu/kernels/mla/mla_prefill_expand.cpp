// MLA_PREFILL before it attends: what there is to do, and keys and values of latents.
#include "backends/gpu/kernels/mla/mla_prefill_parts.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kPrefillPlanThreads = 256;
constexpr int kExpandTokens = 64;

GPU_DEVICE void store_pair(Global<int32_t> pairs, int64_t i, int first, int second) {
  const Vec<int32_t, 2> pair = {{first, second}};
  store_vec(pairs, 2 * i, pair);
}

// One block. Each entry and each tile is written by the thread of its number alone.
GPU_KERNEL void mla_prefill_plan(PrefillCall call) {
  const int count = load(call.sequences.count);
  const int me = thread();
  const int block_size = call.cache.block_size;
  for (int64_t i = me; i < call.max_blocks; i += threads()) store_pair(call.entries, i, 0, 0);
  int tiles = 0;
  for (int s = 0; s < count; ++s) {
    const auto sequence = call.sequences.get(s);
    if (sequence.query_count == 0) continue;
    const int end = sequence.context + sequence.query_count;
    const int blocks = (end + block_size - 1) / block_size;
    const int skipped = (me - sequence.block_begin % threads() + threads()) % threads();
    for (int b = skipped; b < blocks; b += threads()) {
      const int64_t i = int64_t{sequence.block_begin} + b;
      const int left = end - b * block_size;
      store_pair(call.entries, i, load(call.sequences.blocks, i),
                 left < block_size ? left : block_size);
    }
    for (int first = 0; first < sequence.query_count; first += kTileQueries, ++tiles) {
      if (tiles % threads() == me && tiles < call.tiles) {
        store_pair(call.query_tiles, tiles, s, first);
      }
    }
  }
  for (int i = tiles + me; i < call.tiles; i += threads()) store_pair(call.query_tiles, i, -1, 0);
}

GPU_DEVICE bool is_any_row_there(const PrefillCall& call, int64_t first_row) {
  const int block_size = call.cache.block_size;
  const int64_t last = (first_row + kExpandTokens - 1) / block_size;
  for (int64_t i = first_row / block_size; i <= last && i < call.max_blocks; ++i) {
    if (call.entry(i).rows > 0) return true;
  }
  return false;
}

// blocks: (64 rows of the cache by the table, 64 numbers of a head, head)
template <typename W>
GPU_KERNEL void mla_prefill_expand(PrefillCall call, Weights<W> wkv_b, ProductDepth depth,
                                   int first_head) {
  using Block = Product<W, kExpandTokens>;
  const int64_t first_row = block_x() * kExpandTokens;
  const int block_size = call.cache.block_size;
  const auto is_there = [&](int t) {
    const int64_t row = first_row + t;
    return row / block_size < call.max_blocks &&
           row % block_size < call.entry(row / block_size).rows;
  };
  if (!is_any_row_there(call, first_row)) return;
  const int first_number = block_y() * Block::kRows;
  const int head = block_z();
  const int size = call.expanded_size();
  Block::run(
      0, depth,
      [&](int m) {
        return first_number + m < size
                   ? wkv_b.row(int64_t{first_head + head} * size + first_number + m)
                   : WeightRow<W>();
      },
      [&](int t) {
        if (!is_there(t)) return Global<const bf16>();
        const int64_t row = first_row + t;
        const int block = call.entry(row / block_size).block;
        return call.cache.latent(int64_t{block} * block_size + row % block_size);
      });
  const auto results = Block::results(0);
  for (int i = thread(); i < kExpandTokens * Block::kRows; i += threads()) {
    const int t = i / Block::kRows;
    const int m = i % Block::kRows;
    if (first_number + m >= size || !is_there(t)) continue;
    store(call.expanded, ((first_row + t) * call.heads_at_once + head) * size + first_number + m,
          narrow<bf16>(load(results, t * Block::kResultStride + m)));
  }
}

}  // namespace

fathom_status queue_prefill_plan(Queue& queue, const PrefillCall& call) {
  return launch(queue, "mla_prefill_plan", {1, 1, 1, kPrefillPlanThreads, 0}, mla_prefill_plan,
                call);
}

fathom_status queue_prefill_expand(Queue& queue, const PrefillCall& call,
                                   const fathom_weight& wkv_b, int first_head, int heads) {
  const int64_t rows = call.max_blocks * call.cache.block_size;
  const ProductDepth depth = {wkv_b.k, wkv_b.block_k, are_rows_aligned(wkv_b, kLoadBytes), true};
  return with_weight_type(wkv_b, [&](auto type) {
    using W = decltype(type);
    using Block = Product<W, kExpandTokens>;
    const Shape shape = {(rows + kExpandTokens - 1) / kExpandTokens,
                         (call.shape.nope_dim + call.shape.v_dim + Block::kRows - 1) / Block::kRows,
                         heads, Block::kThreads, Block::kSharedBytes};
    return launch(queue, "mla_prefill_expand", shape, mla_prefill_expand<W>, call,
                  weights_of<W>(wkv_b), depth, first_head);
  });
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
