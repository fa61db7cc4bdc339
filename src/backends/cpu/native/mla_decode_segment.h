// A segment of the context in the absorbed form: what heads of some queries of one sequence gather
// of its latents, as parts of a softmax that are merged later.
#pragma once

#include "backends/cpu/native/mla_bf16.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Segments begin at absolute multiples of it, so that a query's parts are the same in every call.
constexpr int64_t kSegmentPositions = 2 * kTilePositions;
constexpr int64_t kMostSegmentQueries = 16;
constexpr int64_t kMostSegmentHeads = 16;

struct Segment {
  const fathom_mla_attention_args& args;
  const fathom_sequence& sequence;
  int64_t begin, end;      // positions, at most kSegmentPositions
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

// Floats of memory that one segment works in.
static inline int64_t segment_floats(int64_t entry_stride) {
  return kTilePositions * entry_stride;
}

class F32Segment {
 public:
  F32Segment(const Segment& segment, float* memory) : segment_(segment), tile_(memory) {}

  void attend() {
    for (int64_t i = segment_.first_query(); i < segment_.queries; ++i) {
      for (int64_t h = 0; h < segment_.heads; ++h) {
        segment_.states[i * segment_.states_stride + h] = Softmax{};
      }
      memset(segment_.sums + i * segment_.sums_stride, 0,
             static_cast<size_t>(segment_.heads * segment_.latent_stride) * sizeof(float));
    }
    for (int64_t from = segment_.begin; from < segment_.end; from += kTilePositions) {
      gather(segment_.args.cache, segment_.sequence, from,
             min_of(segment_.end, from + kTilePositions), segment_.width(), tile_,
             segment_.entry_stride);
      for (int64_t i = segment_.first_query(); i < segment_.queries; ++i) {
        const int64_t visible = segment_.visible(i) - (from - segment_.begin);
        if (visible > 0) attend_tile(i, min_of(visible, kTilePositions));
      }
    }
  }

 private:
  void attend_tile(int64_t query, int64_t visible) {
    float scores[kMostSegmentHeads * kTilePositions];
    int64_t counts[kMostSegmentHeads];
    float* sums = segment_.sums + query * segment_.sums_stride;
    const Rows q = {segment_.q + query * segment_.query_stride, segment_.entry_stride, nullptr,
                    segment_.heads};
    dot_panel(q, {tile_, segment_.entry_stride}, visible, segment_.entry_stride, Part{},
              {scores, kTilePositions});
    for (int64_t h = 0; h < segment_.heads; ++h) {
      counts[h] = visible;
      soften(segment_.states[query * segment_.states_stride + h], scores + h * kTilePositions,
             visible, segment_.args.shape.softmax_scale, sums + h * segment_.latent_stride,
             segment_.latent_stride);
    }
    combine({scores, kTilePositions, nullptr, segment_.heads}, {tile_, segment_.entry_stride},
            counts, segment_.latent_stride, sums, segment_.latent_stride);
  }

  const Segment& segment_;
  float* const tile_;
};

#if FATHOM_CPU_BF16

// Scores have a lane a head, so that one vector holds a position's and the softmax runs over whole
// vectors. The softmax sees all of the segment before values are gathered.
class Bf16Segment {
 public:
  Bf16Segment(const Segment& segment, float* memory) : segment_(segment) {
    read_latents(segment.args.cache, segment.sequence, segment.begin, segment.end, segment.width(),
                 reinterpret_cast<uint16_t*>(memory), latents_);
  }

  void attend() {
    for (int64_t i = segment_.first_query(); i < segment_.queries; ++i) weigh(i);
    for (int64_t lane = 0; lane < segment_.args.shape.kv_lora_rank; lane += kLanes) {
      gather_lanes(lane, min_of(kLanes, segment_.args.shape.kv_lora_rank - lane));
    }
  }

 private:
  static constexpr int64_t kPairs = kSegmentPositions / 2;
  static constexpr int64_t kLanes = kPairTileVectors * kWidth;
  static_assert(kMostSegmentHeads == kWidth && kWidth == 2 * kDotTileRows);

  using Scores = float[kSegmentPositions][kWidth];

  // The query's weights of each position, and its softmax.
  void weigh(int64_t query) {
    alignas(64) Scores scores;
    const int64_t visible = segment_.visible(query);
    score(query, visible, scores);
    const Vec scale = broadcast(segment_.args.shape.softmax_scale);
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
    for (int64_t h = 0; h < segment_.heads; ++h) {
      segment_.states[query * segment_.states_stride + h] = {highest[h], sums[h]};
    }
  }

  void score(int64_t query, int64_t visible, Scores& scores) const {
    const auto* q = reinterpret_cast<const uint16_t*>(segment_.q + query * segment_.query_stride);
    const int64_t stride = 2 * segment_.entry_stride;
    for (int64_t p = 0; p < visible; p += kDotTileColumns) {
      for (int64_t h = 0; h < segment_.heads; h += kDotTileRows) {
        bf16_dot_tile({q + h * stride, stride}, latents_.rows + p, segment_.width(), scores[p] + h,
                      kWidth);
      }
    }
  }

  // Values [lane, lane + lanes) of the latents, for all queries and heads.
  void gather_lanes(int64_t lane, int64_t lanes) {
    alignas(64) uint32_t values[kPairs * kLanes];
    const int64_t pairs = ceil_div(segment_.end - segment_.begin, 2);
    for (int64_t p = 0; p < pairs; ++p) {
      pair_rows(latents_.rows[2 * p] + lane, latents_.rows[2 * p + 1] + lane, lanes,
                values + p * kLanes);
    }
    for (int64_t i = segment_.first_query(); i < segment_.queries; ++i) {
      float* sums = segment_.sums + i * segment_.sums_stride + lane;
      for (int64_t h = 0; h < segment_.heads; ++h) {
        memset(sums + h * segment_.latent_stride, 0, static_cast<size_t>(lanes) * sizeof(float));
      }
      add_pair_products(Bf16Columns{weights_[i][0]}, segment_.heads, {values, kLanes}, lanes, pairs,
                        {sums, segment_.latent_stride});
    }
  }

  const Segment& segment_;
  LatentRows<kSegmentPositions> latents_;
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

// `memory` is of segment_floats().
static inline void attend_segment(const Segment& segment, float* memory) {
#if FATHOM_CPU_BF16
  if (in_bf16(segment.args)) return Bf16Segment(segment, memory).attend();
#endif
  F32Segment(segment, memory).attend();
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
