// Attention of one head's queries over expanded keys and values, 32 positions at a time. Each warp
// has 16 queries, which share the block's keys and values.
#include "backends/gpu/kernels/mla/mla_prefill_parts.h"
#include "backends/gpu/kernels/mla/online_softmax.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kAttendWarps = 4;
constexpr int kWarpQueries = 16;
static_assert(kAttendWarps * kWarpQueries == kTileQueries, "a warp has its queries alone");
constexpr int kMostKey = kMostNope + kMostRope;
constexpr int kValueTiles = kMostValues / 16;
constexpr int kRowPad = 8;  // rows stand four banks apart

// Where a block's parts lie in shared memory; those of a warp are its own.
struct AttendMemory {
  int key_stride;
  int value_stride;
  Shared<bf16> keys;     // [kPositions, key_stride]
  Shared<bf16> values;   // [kPositions, value_stride]
  Shared<bf16> queries;  // [kTileQueries, key_stride]
  Shared<bf16> own_queries;
  Shared<float> scores;   // own: [kWarpQueries, kScoreStride]
  Shared<bf16> weights;   // own: [kWarpQueries, kWeightStride]
  Shared<float> factors;  // own: [kWarpQueries]

  GPU_DEVICE AttendMemory(const fathom_mla_shape& shape, int warp)
      : key_stride(shape.nope_dim + shape.rope_dim + kRowPad),
        value_stride(shape.v_dim + kRowPad),
        keys(shared<bf16>(0)),
        values(keys + kPositions * key_stride),
        queries(values + kPositions * value_stride),
        own_queries(queries + warp * kWarpQueries * key_stride),
        scores((queries + kTileQueries * key_stride).as<float>() +
               warp * kWarpQueries * kScoreStride),
        weights((queries + kTileQueries * key_stride +
                 kTileQueries * kScoreStride * int{sizeof(float) / sizeof(bf16)}) +
                warp * kWarpQueries * kWeightStride),
        factors((queries + kTileQueries * key_stride +
                 kTileQueries * kScoreStride * int{sizeof(float) / sizeof(bf16)} +
                 kTileQueries * kWeightStride)
                    .as<float>() +
                warp * kWarpQueries) {}
};

constexpr int attend_shared_bytes(int key, int values) {
  return 2 * (kPositions * (key + kRowPad + values + kRowPad) + kTileQueries * (key + kRowPad) +
              kTileQueries * kWeightStride) +
         4 * kTileQueries * (kScoreStride + 1);
}
static_assert(attend_shared_bytes(kMostKey, kMostValues) <= kSharedBytes,
              "a block needs 62 KB of shared memory");

constexpr int kAttendChunk = kLoadBytes / static_cast<int>(sizeof(bf16));

GPU_DEVICE void stage_tile_queries(const PrefillCall& call, const AttendMemory& memory,
                                   const SequenceParts& sequence, int first, int head) {
  const int key = call.shape.nope_dim + call.shape.rope_dim;
  const int chunks = key / kAttendChunk;
  for (int i = thread(); i < kTileQueries * chunks; i += threads()) {
    const int t = i / chunks;
    const int column = i % chunks * kAttendChunk;
    Global<const bf16> from;
    if (first + t < sequence.query_count) {
      from = call.q(sequence.query_begin + first + t) + int64_t{head} * key;
    }
    stage<kAttendChunk>(memory.queries, t * memory.key_stride + column, from, column, key,
                        call.is_q_wide);
  }
}

// Positions [begin, begin + kPositions), zeros from `end` on.
GPU_DEVICE void stage_positions(const PrefillCall& call, const AttendMemory& memory,
                                const SequenceParts& sequence, int head, int begin, int end) {
  const auto& shape = call.shape;
  const int size = shape.nope_dim + shape.rope_dim + shape.v_dim;
  const int chunks = size / kAttendChunk;
  const int block_size = call.cache.block_size;
  for (int i = thread(); i < kPositions * chunks; i += threads()) {
    const int row = i / chunks;
    const int column = i % chunks * kAttendChunk;
    const bool is_there = begin + row < end;
    const int position = is_there ? begin + row : 0;
    const int64_t by_table = int64_t{sequence.block_begin} * block_size + position;
    const auto expanded = Global<const bf16>(call.expanded) +
                          (by_table * call.heads_at_once + head) * call.expanded_size();
    if (column < shape.nope_dim) {
      copy_async_or_zero<kAttendChunk>(memory.keys, row * memory.key_stride + column, expanded,
                                       column, is_there);
    } else if (column < shape.nope_dim + shape.rope_dim) {
      const int64_t slot =
          slot_of(call.sequences.blocks + sequence.block_begin, block_size, position);
      copy_async_or_zero<kAttendChunk>(memory.keys, row * memory.key_stride + column,
                                       call.cache.key(slot), column - shape.nope_dim, is_there);
    } else {
      copy_async_or_zero<kAttendChunk>(
          memory.values, row * memory.value_stride + column - shape.nope_dim - shape.rope_dim,
          expanded, column - shape.rope_dim, is_there);
    }
  }
}

// Of this warp's queries.
GPU_DEVICE void score_positions(const AttendMemory& memory, int key) {
  using Unit = Tile<bf16>;
  for (int p = 0; p < kPositions; p += Unit::kRows) {
    typename Unit::Sum sum;
    for (int k = 0; k < key; k += Unit::kDepth) {
      const auto a = Unit::load_a(memory.keys + p * memory.key_stride + k, memory.key_stride);
      const auto b = Unit::load_b(memory.own_queries + k, memory.key_stride);
      Unit::add(sum, a, b);
    }
    for (int e = 0; e < Unit::kOwned; ++e) {
      store(memory.scores, Unit::column(e) * kScoreStride + p + Unit::row(e), sum.v[e]);
    }
  }
}

// blocks: (tile of queries, head)
GPU_KERNEL void mla_prefill_attend(PrefillCall call, int first_head) {
  using Unit = Tile<bf16>;
  const QueryTile tile = call.query_tile(block_x());
  if (tile.sequence < 0) return;
  const auto& shape = call.shape;
  const auto sequence = call.sequences.get(tile.sequence);
  const int head = block_y();
  const int left = sequence.query_count - tile.first;
  const int end = sequence.context + tile.first + (left < kTileQueries ? left : kTileQueries);
  const AttendMemory memory(shape, warp());
  const int own_first = tile.first + warp() * kWarpQueries;
  // Rows that are no queries see one position, as their softmax needs.
  const auto visible = [&](int row) {
    return own_first + row < sequence.query_count ? sequence.context + own_first + row + 1 : 1;
  };
  const int value_tiles = shape.v_dim / Unit::kRows;
  OnlineSoftmax<kWarpQueries> softmax;
  typename Unit::Sum out[kValueTiles] = {};

  stage_tile_queries(call, memory, sequence, tile.first, first_head + head);
  for (int p0 = 0; p0 < end; p0 += kPositions) {
    stage_positions(call, memory, sequence, head, p0, end);
    copy_commit();
    copy_wait<0>();
    block_barrier();
    score_positions(memory, shape.nope_dim + shape.rope_dim);
    warp_barrier();
    softmax.take(memory.weights, memory.factors, [&](int row, int p) {
      return p0 + p < visible(row)
                 ? load(memory.scores, row * kScoreStride + p) * shape.softmax_scale
                 : float_of(0xff800000);
    });
    warp_barrier();
    GPU_UNROLL
    for (int c = 0; c < kValueTiles; ++c) {
      if (c >= value_tiles) continue;
      for (int e = 0; e < Unit::kOwned; ++e) {
        out[c].v[e] *= load(memory.factors, Unit::column(e));
      }
      for (int k = 0; k < kPositions; k += Unit::kDepth) {
        const auto a = Unit::load_a_deep(memory.values + k * memory.value_stride + c * Unit::kRows,
                                         memory.value_stride);
        const auto b = Unit::load_b(memory.weights + k, kWeightStride);
        Unit::add(out[c], a, b);
      }
    }
    block_barrier();
  }

  softmax.each_row([&](int row, float, float sum) { store(memory.factors, row, sum); });
  warp_barrier();
  GPU_UNROLL
  for (int c = 0; c < kValueTiles; ++c) {
    if (c >= value_tiles) continue;
    for (int e = 0; e < Unit::kOwned; ++e) {
      const int query = own_first + Unit::column(e);
      if (query >= sequence.query_count) continue;
      store(call.out(sequence.query_begin + query),
            int64_t{first_head + head} * shape.v_dim + c * Unit::kRows + Unit::row(e),
            narrow<bf16>(out[c].v[e] / load(memory.factors, Unit::column(e))));
    }
  }
}

}  // namespace

fathom_status queue_prefill_attend(Queue& queue, const PrefillCall& call, int first_head,
                                   int heads) {
  const auto& of = call.shape;
  const Shape shape = {call.tiles, heads, 1, kAttendWarps * kWarp,
                       attend_shared_bytes(of.nope_dim + of.rope_dim, of.v_dim)};
  return launch(queue, "mla_prefill_attend", shape, mla_prefill_attend, call, first_head);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
