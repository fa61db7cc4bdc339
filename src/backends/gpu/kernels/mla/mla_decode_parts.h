// What the kernels of MLA_DECODE hand to each other.
//
// A query's positions are cut into segments, at most kMostSegments of them: as short as 512
// positions, and as long as a power of two times that where the query sees many. So segments depend
// on what the query sees alone. Each is attended by a block of its own, and their results are put
// together in rising order.
#pragma once

#include "backends/gpu/kernels/mla/mla_args.h"
#include "backends/gpu/kernels/mla/mla_sequences.h"
#include "backends/gpu/kernels/product.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

constexpr int kHeads = 16;             // of a tile
constexpr int kShortestSegment = 512;  // positions

// One query: its row of q, the positions it sees, and where its sequence's block table begins.
// Row -1: there is none.
struct Query {
  int row;
  int visible;
  int block_begin;
};
constexpr int kQueryNumbers = 4;  // one of them unused

GPU_DEVICE inline Query load_query(Global<const int32_t> queries, int64_t i) {
  const auto numbers = load_vec<kQueryNumbers>(queries, i * kQueryNumbers);
  return {numbers[0], numbers[1], numbers[2]};
}

struct DecodeCall {
  fathom_mla_shape shape;
  Rows<const bf16> q;
  LatentCache<const bf16> cache;
  Sequences sequences;
  int32_t max_queries;
  int32_t most_segments;
  Rows<bf16> out;
  // In the workspace:
  Global<int32_t> queries;     // [max_queries, kQueryNumbers]
  Global<bf16> absorbed;       // [max_queries, heads, latent + rope]: queries in latent space
  Global<float> segment_sums;  // [max_queries, heads, most_segments, 2]: greatest score, sum
  Global<float> segment_out;   // [max_queries, heads, most_segments, latent]
  Global<bf16> latent_out;     // [max_queries, heads, latent]

  GPU_DEVICE int entry() const { return shape.kv_lora_rank + shape.rope_dim; }
  GPU_DEVICE int64_t segment(int64_t query, int head, int s) const {
    return (query * shape.num_heads + head) * most_segments + s;
  }
  GPU_DEVICE int segment_length(int visible) const {
    int length = kShortestSegment;
    while (int64_t{length} * most_segments < visible) length *= 2;
    return length;
  }
};

// How many blocks a query has at most: more where there are few tiles of heads to work on, for
// results of segments take memory by the head.
inline int most_segments(const fathom_mla_attention_args& args) {
  const int tiles = (args.shape.num_heads + kHeads - 1) / kHeads;
  const int64_t most = tiles >= 8 ? 8 : tiles >= 4 ? 16 : 32;
  const int64_t needed = (args.sequences.max_positions + kShortestSegment - 1) / kShortestSegment;
  return static_cast<int>(needed < 1 ? 1 : needed < most ? needed : most);
}

// Which queries there are, by one block.
fathom_status queue_decode_plan(Queue& queue, const DecodeCall& call);
// Queries through the key half of wkv_b.
fathom_status queue_decode_absorb(Queue& queue, const DecodeCall& call, const fathom_weight& wkv_b);
fathom_status queue_decode_segments(Queue& queue, const DecodeCall& call);
fathom_status queue_decode_combine(Queue& queue, const DecodeCall& call);
// Results through the value half of wkv_b.
fathom_status queue_decode_values(Queue& queue, const DecodeCall& call, const fathom_weight& wkv_b);

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
