// A segment of the context in the absorbed form: what heads of some queries of one sequence gather
// of its latents, as parts of a softmax that are merged later.
#pragma once

#include "backends/cpu/native/mla/mla_bf16.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// What a softmax sees at once. A segment is one piece or several.
constexpr int64_t kPiecePositions = 2 * kTilePositions;

// Where segments begin depends on nothing but the position, so that a query's parts are the same in
// every call. Short ones first, to give threads something to share; long ones behind them, whose
// pieces one thread merges while they are in its cache.
constexpr int64_t kShortSegments = 16;
constexpr int64_t kShortPositions = kPiecePositions;
constexpr int64_t kLongPositions = 4 * kPiecePositions;
static inline int64_t segment_of(int64_t position) {
  constexpr int64_t kLongBegin = kShortSegments * kShortPositions;
  return position < kLongBegin ? position / kShortPositions
                               : kShortSegments + (position - kLongBegin) / kLongPositions;
}
static inline int64_t segment_begin(int64_t segment) {
  return min_of(segment, kShortSegments) * kShortPositions +
         max_of(0, segment - kShortSegments) * kLongPositions;
}

constexpr int64_t kMostSegmentQueries = 16;
constexpr int64_t kMostSegmentHeads = 16;

struct Segment {
  const fathom_mla_attention_args& args;
  const int32_t* blocks;   // of the sequence
  int64_t begin, end;      // positions
  int64_t first_position;  // of the first query; the others follow it
  int64_t queries, heads;  // at most kMostSegmentQueries, kMostSegmentHeads

  // Latent queries, [queries, heads, kv_lora + rope]: F32, or bf16 in the place of half of them;
  // heads are `entry_stride` floats apart, queries `query_stride`.
  const float* q;
  int64_t entry_stride, query_stride;

  // What is gathered: [queries, heads, kv_lora], heads `latent_stride` floats apart and queries
  // `sums_stride`; and its softmax, [queries, heads], queries `states_stride` apart.
  float* sums;
  int64_t latent_stride, sums_stride;
  Softmax* states;
  int64_t states_stride;

  int64_t width() const { return int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim; }
  // Queries before it stand before the segment and see nothing of it.
  int64_t first_query() const { return max_of(0, begin - first_position); }
  int64_t visible(int64_t query) const { return min_of(end, first_position + query + 1) - begin; }
};

// Floats of memory that a piece works in, and with it a segment of several, whose later pieces are
// gathered apart: as much as `queries` with all their heads.
static inline int64_t piece_floats(int64_t entry_stride) {
  return kTilePositions * entry_stride;
}
static inline int64_t segment_floats(int64_t entry_stride, int64_t latent_stride, int64_t queries) {
  constexpr int64_t kStateFloats = sizeof(Softmax) / sizeof(float);
  return piece_floats(entry_stride) + queries * kMostSegmentHeads * (latent_stride + kStateFloats);
}

class F32Piece {
 public:
  F32Piece(const Segment& piece, float* memory) : piece_(piece), tile_(memory) {}

  void attend() {
    for (int64_t i = piece_.first_query(); i < piece_.queries; ++i) {
      for (int64_t h = 0; h < piece_.heads; ++h) {
        piece_.states[i * piece_.states_stride + h] = Softmax{};
      }
      memset(piece_.sums + i * piece_.sums_stride, 0,
             static_cast<size_t>(piece_.heads * piece_.latent_stride) * sizeof(float));
    }
    for (int64_t from = piece_.begin; from < piece_.end; from += kTilePositions) {
      gather(piece_.args, piece_.blocks, from, min_of(piece_.end, from + kTilePositions), tile_,
             piece_.entry_stride);
      for (int64_t i = piece_.first_query(); i < piece_.queries; ++i) {
        const int64_t visible = piece_.visible(i) - (from - piece_.begin);
        if (visible > 0) attend_tile(i, min_of(visible, kTilePositions));
      }
    }
  }

 private:
  void attend_tile(int64_t query, int64_t visible) {
    float scores[kMostSegmentHeads * kTilePositions];
    int64_t counts[kMostSegmentHeads];
    float* sums = piece_.sums + query * piece_.sums_stride;
    const Rows q = {piece_.q + query * piece_.query_stride, piece_.entry_stride, nullptr,
                    piece_.heads};
    dot_panel(q, {tile_, piece_.entry_stride}, visible, piece_.entry_stride, Part{},
              {scores, kTilePositions});
    for (int64_t h = 0; h < piece_.heads; ++h) {
      counts[h] = visible;
      soften(piece_.states[query * piece_.states_stride + h], scores + h * kTilePositions, visible,
             piece_.args.shape.softmax_scale, sums + h * piece_.latent_stride,
             piece_.latent_stride);
    }
    combine({scores, kTilePositions, nullptr, piece_.heads}, {tile_, piece_.entry_stride}, counts,
            piece_.latent_stride, sums, piece_.latent_stride);
  }

  const Segment& piece_;
  float* const tile_;
};

#if FATHOM_CPU_BF16

// Scores have a lane a head, so that one vector holds a position's and the softmax runs over whole
// vectors. The softmax sees all of the piece before values are gathered.
class Bf16Piece {
 public:
  Bf16Piece(const Segment& piece, float* memory) : piece_(piece) {
    read_latents(piece.args, piece.blocks, piece.begin, piece.end,
                 reinterpret_cast<uint16_t*>(memory), latents_);
  }

  void attend() {
    for (int64_t i = piece_.first_query(); i < piece_.queries; ++i) weigh(i);
    for (int64_t lane = 0; lane < piece_.args.shape.kv_lora_rank; lane += kLanes) {
      gather_lanes(lane, min_of(kLanes, piece_.args.shape.kv_lora_rank - lane));
    }
  }

 private:
  static constexpr int64_t kPairs = kPiecePositions / 2;
  static constexpr int64_t kLanes = kPairTileVectors * kWidth;
  static_assert(kMostSegmentHeads == kWidth && kWidth == 2 * kDotTileRows);

  using Scores = float[kPiecePositions][kWidth];

  // The query's weights of each position, and its softmax.
  void weigh(int64_t query) {
    alignas(64) Scores scores;
    const int64_t visible = piece_.visible(query);
    score(query, visible, scores);
    const Vec scale = broadcast(piece_.args.shape.softmax_scale);
    Vec top = broadcast(-__builtin_inff());
    for (int64_t p = 0; p < visible; ++p) {
      const Vec score = mul(load(scores[p]), scale);
      store(scores[p], score);
      top = maximum(score, top);
    }
    if (visible % 2 != 0) store(scores[visible], broadcast(-__builtin_inff()));
    Vec sum = broadcast(0.0f);
    uint32_t(*pairs)[kWidth] = weights_[query];
    int64_t pair = 0;
    for (; 2 * pair < visible; ++pair) {
      const Vec even = exp(sub(load(scores[2 * pair]), top));
      const Vec odd = exp(sub(load(scores[2 * pair + 1]), top));
      store_ints(reinterpret_cast<int32_t*>(pairs[pair]), pairs_of(even, odd));
      sum = add(sum, add(even, odd));
    }
    for (; pair < kPairs; ++pair) {
      store_ints(reinterpret_cast<int32_t*>(pairs[pair]), broadcast_int(0));
    }
    float highest[kWidth], sums[kWidth];
    store(highest, top);
    store(sums, sum);
    for (int64_t h = 0; h < piece_.heads; ++h) {
      piece_.states[query * piece_.states_stride + h] = {highest[h], sums[h]};
    }
  }

  void score(int64_t query, int64_t visible, Scores& scores) const {
    const auto* q = reinterpret_cast<const uint16_t*>(piece_.q + query * piece_.query_stride);
    const int64_t stride = 2 * piece_.entry_stride;
    for (int64_t p = 0; p < visible; p += kDotTileColumns) {
      for (int64_t h = 0; h < piece_.heads; h += kDotTileRows) {
        bf16_dot_tile({q + h * stride, stride}, latents_.rows + p, piece_.width(), scores[p] + h,
                      kWidth);
      }
    }
  }

  // Values [lane, lane + lanes) of the latents, for all queries and heads.
  void gather_lanes(int64_t lane, int64_t lanes) {
    alignas(64) uint32_t values[kPairs * kLanes];
    const int64_t pairs = ceil_div(piece_.end - piece_.begin, 2);
    for (int64_t p = 0; p < pairs; ++p) {
      pair_rows(latents_.rows[2 * p] + lane, latents_.rows[2 * p + 1] + lane, lanes,
                values + p * kLanes);
    }
    for (int64_t i = piece_.first_query(); i < piece_.queries; ++i) {
      float* sums = piece_.sums + i * piece_.sums_stride + lane;
      for (int64_t h = 0; h < piece_.heads; ++h) {
        memset(sums + h * piece_.latent_stride, 0, static_cast<size_t>(lanes) * sizeof(float));
      }
      add_pair_products(Bf16Columns{weights_[i][0]}, piece_.heads, {values, kLanes}, lanes, pairs,
                        {sums, piece_.latent_stride});
    }
  }

  const Segment& piece_;
  LatentRows<kPiecePositions> latents_;
  uint32_t weights_[kMostSegmentQueries][kPairs][kWidth];
};

#endif

// Brings a latent query of `width` floats into the form that segments read.
static inline void prepare_query([[maybe_unused]] const fathom_mla_attention_args& args,
                                 [[maybe_unused]] int64_t width, [[maybe_unused]] float* q) {
#if FATHOM_CPU_BF16
  if (in_bf16(args)) to_bf16(q, width, reinterpret_cast<uint16_t*>(q));
#endif
}

static inline void attend_piece(const Segment& piece, float* memory) {
#if FATHOM_CPU_BF16
  if (in_bf16(piece.args)) return Bf16Piece(piece, memory).attend();
#endif
  F32Piece(piece, memory).attend();
}

// Takes a later piece into what was gathered of the pieces before.
static inline void merge_piece(const Segment& piece, const Segment& segment) {
  for (int64_t i = piece.first_query(); i < segment.queries; ++i) {
    for (int64_t h = 0; h < segment.heads; ++h) {
      add_softmax(piece.states[i * piece.states_stride + h],
                  piece.sums + i * piece.sums_stride + h * piece.latent_stride,
                  segment.latent_stride, segment.states[i * segment.states_stride + h],
                  segment.sums + i * segment.sums_stride + h * segment.latent_stride);
    }
  }
}

// `memory` is of segment_floats().
static inline void attend_segment(const Segment& segment, float* memory) {
  Segment piece = segment;
  piece.end = min_of(segment.end, segment.begin + kPiecePositions);
  attend_piece(piece, memory);
  piece.sums = memory + piece_floats(segment.entry_stride);
  piece.sums_stride = segment.heads * segment.latent_stride;
  piece.states = reinterpret_cast<Softmax*>(piece.sums + segment.queries * piece.sums_stride);
  piece.states_stride = segment.heads;
  while (piece.end < segment.end) {
    piece.begin = piece.end;
    piece.end = min_of(segment.end, piece.begin + kPiecePositions);
    attend_piece(piece, memory);
    merge_piece(piece, segment);
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
