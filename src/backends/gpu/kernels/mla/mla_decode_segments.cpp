// Attention of one segment of positions in latent space: a block has 16 heads, or as many times
// that as its shared memory allows, so that latents are read once for all of them.
#include "backends/gpu/kernels/mla/mla_decode_parts.h"
#include "backends/gpu/kernels/mla/online_softmax.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kSegmentWarps = 4;  // of a tile of heads: each has a quarter of the latent's columns
constexpr int kEntryPad = 8;      // rows stand four banks apart
constexpr int kColumnTiles = kMostLatent / 16 / kSegmentWarps;
constexpr int kHalves = 2;  // of an entry's columns, whose products are added in this order

constexpr int entry_bytes(int rows, int entry) {
  return rows * (entry + kEntryPad) * static_cast<int>(sizeof(bf16));
}
constexpr int kScoreBytes = kHalves * kHeads * kScoreStride * static_cast<int>(sizeof(float));
constexpr int kWeightBytes = kHeads * kWeightStride * static_cast<int>(sizeof(bf16));
constexpr int kFactorBytes = kHeads * static_cast<int>(sizeof(float));

constexpr int segments_shared_bytes(int tiles, int entry) {
  return entry_bytes(kPositions, entry) +
         tiles * (entry_bytes(kHeads, entry) + kScoreBytes + kWeightBytes + kFactorBytes);
}
constexpr bool fits(int tiles, int entry) {
  return segments_shared_bytes(tiles, entry) <= kSharedBytes &&
         tiles * kSegmentWarps * kWarp <= kMostThreads;
}
static_assert(fits(1, kMostLatent + kMostRope), "a block needs 62 KB of shared memory");

// Tiles of heads of a block: no more than there are. Which heads share a block changes no result.
int tiles_at_once(int tiles, int entry) {
  int at_once = 1;
  while (at_once < 4 && at_once < tiles && fits(2 * at_once, entry)) at_once *= 2;
  return at_once;
}

// Where a block's parts lie in shared memory.
struct SegmentMemory {
  Shared<bf16> entries;   // [kPositions, entry + kEntryPad]
  Shared<bf16> queries;   // this warp's heads: [kHeads, entry + kEntryPad]
  Shared<float> scores;   // [kHalves, kHeads, kScoreStride]
  Shared<bf16> weights;   // [kHeads, kWeightStride]
  Shared<float> factors;  // [kHeads]
  int stride;

  GPU_DEVICE SegmentMemory(int tile, int entry) : stride(entry + kEntryPad) {
    int at = 0;
    entries = shared<bf16>(at);
    at += entry_bytes(kPositions, entry) +
          tile * (entry_bytes(kHeads, entry) + kScoreBytes + kWeightBytes + kFactorBytes);
    queries = shared<bf16>(at);
    at += entry_bytes(kHeads, entry);
    scores = shared<float>(at);
    at += kScoreBytes;
    weights = shared<bf16>(at);
    at += kWeightBytes;
    factors = shared<float>(at);
  }
};

constexpr int kChunk = kLoadBytes / static_cast<int>(sizeof(bf16));

// The absorbed queries of this tile of heads, zeros for heads that are not there.
GPU_DEVICE void stage_queries(const DecodeCall& call, const SegmentMemory& memory, int64_t query,
                              int first_head) {
  const int entry = call.entry();
  const int chunks = entry / kChunk;
  const int me = thread() % (kSegmentWarps * kWarp);
  for (int i = me; i < kHeads * chunks; i += kSegmentWarps * kWarp) {
    const int head = i / chunks;
    const int column = i % chunks * kChunk;
    const bool is_there = first_head + head < call.shape.num_heads;
    const auto from = Global<const bf16>(call.absorbed) +
                      (query * call.shape.num_heads + (is_there ? first_head + head : 0)) * entry;
    copy_async_or_zero<kChunk>(memory.queries, head * memory.stride + column, from, column,
                               is_there);
  }
}

// Positions [begin, begin + kPositions), zeros from `end` on.
GPU_DEVICE void stage_entries(const DecodeCall& call, const SegmentMemory& memory,
                              Global<const int32_t> table, int begin, int end) {
  const int latent = call.shape.kv_lora_rank;
  const int chunks = call.entry() / kChunk;
  for (int i = thread(); i < kPositions * chunks; i += threads()) {
    const int row = i / chunks;
    const int column = i % chunks * kChunk;
    const bool is_there = begin + row < end;
    const int64_t slot = is_there ? slot_of(table, call.cache.block_size, begin + row) : 0;
    const auto from = column < latent ? call.cache.latent(slot) + column
                                      : call.cache.key(slot) + (column - latent);
    copy_async_or_zero<kChunk>(memory.entries, row * memory.stride + column, from, 0, is_there);
  }
}

// Of this warp: 16 positions by half of the columns.
GPU_DEVICE void score_entries(const SegmentMemory& memory, int entry, int part) {
  using Unit = Tile<bf16>;
  const int first_position = part / kHalves * Unit::kRows;
  const int half = part % kHalves;
  const int steps = entry / Unit::kDepth;
  const int middle = (steps + 1) / 2;
  typename Unit::Sum sum;
  for (int s = half == 0 ? 0 : middle; s < (half == 0 ? middle : steps); ++s) {
    const auto a = Unit::load_a(memory.entries + first_position * memory.stride + s * Unit::kDepth,
                                memory.stride);
    const auto b = Unit::load_b(memory.queries + s * Unit::kDepth, memory.stride);
    Unit::add(sum, a, b);
  }
  for (int e = 0; e < Unit::kOwned; ++e) {
    store(memory.scores,
          (half * kHeads + Unit::column(e)) * kScoreStride + first_position + Unit::row(e),
          sum.v[e]);
  }
}

// blocks: (segment, tiles of heads, query)
GPU_KERNEL void mla_decode_segments(DecodeCall call) {
  using Unit = Tile<bf16>;
  const int s = static_cast<int>(block_x());
  const int64_t q = block_z();
  const Query query = load_query(call.queries, q);
  if (query.row < 0) return;
  const int length = call.segment_length(query.visible);
  const int begin = s * length;
  if (begin >= query.visible) return;
  const int end = begin + length < query.visible ? begin + length : query.visible;

  const int tile = warp() / kSegmentWarps;
  const int part = warp() % kSegmentWarps;
  const int first_head = (block_y() * (warps() / kSegmentWarps) + tile) * kHeads;
  const int entry = call.entry();
  const SegmentMemory memory(tile, entry);
  const auto table = call.sequences.blocks + query.block_begin;
  const int columns = call.shape.kv_lora_rank / Unit::kRows;  // tiles of latent columns
  OnlineSoftmax<kHeads / kSegmentWarps> softmax;
  typename Unit::Sum out[kColumnTiles] = {};

  stage_queries(call, memory, q, first_head);
  for (int p0 = begin; p0 < end; p0 += kPositions) {
    stage_entries(call, memory, table, p0, end);
    copy_commit();
    copy_wait<0>();
    block_barrier();
    score_entries(memory, entry, part);
    block_barrier();
    const int own_heads = part * (kHeads / kSegmentWarps);
    softmax.take(
        memory.weights + own_heads * kWeightStride, memory.factors + own_heads,
        [&](int row, int p) {
          if (p0 + p >= end) return float_of(0xff800000);
          const int at = (own_heads + row) * kScoreStride + p;
          return (load(memory.scores, at) + load(memory.scores, kHeads * kScoreStride + at)) *
                 call.shape.softmax_scale;
        });
    block_barrier();
    GPU_UNROLL
    for (int c = 0; c < kColumnTiles; ++c) {
      const int column = part + c * kSegmentWarps;
      if (column >= columns) continue;
      for (int e = 0; e < Unit::kOwned; ++e) {
        out[c].v[e] *= load(memory.factors, Unit::column(e));
      }
      for (int k = 0; k < kPositions; k += Unit::kDepth) {
        const auto a = Unit::load_a_deep(memory.entries + k * memory.stride + column * Unit::kRows,
                                         memory.stride);
        const auto b = Unit::load_b(memory.weights + k, kWeightStride);
        Unit::add(out[c], a, b);
      }
    }
    block_barrier();
  }

  GPU_UNROLL
  for (int c = 0; c < kColumnTiles; ++c) {
    const int column = part + c * kSegmentWarps;
    if (column >= columns) continue;
    for (int e = 0; e < Unit::kOwned; ++e) {
      const int head = first_head + Unit::column(e);
      if (head >= call.shape.num_heads) continue;
      store(
          call.segment_out,
          call.segment(q, head, s) * call.shape.kv_lora_rank + column * Unit::kRows + Unit::row(e),
          out[c].v[e]);
    }
  }
  softmax.each_row([&](int row, float greatest, float sum) {
    const int head = first_head + part * (kHeads / kSegmentWarps) + row;
    if (head >= call.shape.num_heads) return;
    const int64_t at = call.segment(q, head, s) * 2;
    store(call.segment_sums, at, greatest);
    store(call.segment_sums, at + 1, sum);
  });
}

}  // namespace

fathom_status queue_decode_segments(Queue& queue, const DecodeCall& call) {
  const int tiles = (call.shape.num_heads + kHeads - 1) / kHeads;
  const int entry = call.shape.kv_lora_rank + call.shape.rope_dim;
  const int at_once = tiles_at_once(tiles, entry);
  const Shape shape = {call.most_segments, (tiles + at_once - 1) / at_once, call.max_queries,
                       at_once * kSegmentWarps * kWarp, segments_shared_bytes(at_once, entry)};
  return launch(queue, "mla_decode_segments", shape, mla_decode_segments, call);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
