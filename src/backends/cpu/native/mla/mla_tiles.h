// What both forms of MLA share: context in tiles of fixed positions, and a softmax over them.
//
// Tiles begin at absolute multiples of kTilePositions, whatever the block size and however a
// sequence was cut into calls, and a query takes part with the positions it may see and no others:
// so its result has the same bits in every call that could compute it.
#pragma once

#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/products/combine.h"
#include "backends/cpu/native/products/elementwise.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

constexpr int64_t kTilePositions = 64;

// Numbers of an entry, to out[0] and on, with zeros up to whole vectors. `out` need not be the
// beginning of a vector: then it is slow, but what lies in the vector before it is left alone.
template <typename Format>
static void read_part(const fathom_weight& rows, int64_t row, float* entry, int64_t column) {
  float* out = entry + column;
  if (column % kWidth == 0) return read_row<Format>(rows, row, 0, rows.k, out);
  const auto numbers = weight_row<Format>(rows, row);
  for (int64_t i = 0; i < rows.k; ++i) out[i] = first(Format::read_first(numbers + i, 1));
  for (int64_t i = column + rows.k; i % kWidth != 0; ++i) entry[i] = 0;
}

template <typename Format>
static void gather_part(const fathom_kv_cache& cache, const CachePart& part, const int32_t* blocks,
                        int64_t begin, int64_t end, float* out, int64_t stride) {
  const fathom_weight rows = {.data = part.data,
                              .scale = nullptr,
                              .dtype = cache.dtype,
                              .block_n = 0,
                              .block_k = 0,
                              .layout = FATHOM_LAYOUT_ROWS,
                              .n = cache.num_blocks * cache.block_size,
                              .k = part.width};
  for (int64_t p = begin; p < end; ++p) {
    read_part<Format>(rows, cache_row(blocks, cache.block_size, p), out + (p - begin) * stride,
                      part.column);
  }
}

// Reads the entries of positions [begin, end) to rows of whole vectors, `stride` apart, with zeros
// behind them.
static void gather(const fathom_mla_attention_args& args, const int32_t* blocks, int64_t begin,
                   int64_t end, float* out, int64_t stride) {
  const CacheParts parts = cache_parts(args.cache, args.shape);
  for (int32_t i = 0; i < parts.count; ++i) {
    if (args.cache.dtype == FATHOM_BF16) {
      gather_part<Bf16Format>(args.cache, parts.parts[i], blocks, begin, end, out, stride);
    } else {
      gather_part<F32Format>(args.cache, parts.parts[i], blocks, begin, end, out, stride);
    }
  }
}

// The running softmax of one (query, head): `sum` is of e^(score - highest) so far.
struct Softmax {
  float highest = -__builtin_inff();
  float sum = 0;
};

// Takes in a tile's scores of the `count` >= 1 positions the query sees, which become weights, and
// scales what it had gathered of values [columns, whole vectors] to the new highest score. `scores`
// has room for whole vectors.
static inline void soften(Softmax& state, float* scores, int64_t count, float scale, float* values,
                          int64_t columns) {
  const int64_t room = padded(count);
  for (int64_t i = count; i < room; ++i) scores[i] = -__builtin_inff();
  Vec top = broadcast(state.highest);
  for (int64_t i = 0; i < room; i += kWidth) {
    const Vec score = mul(load(scores + i), broadcast(scale));
    store(scores + i, score);
    top = maximum(score, top);
  }
  const float highest = reduce_max(top);
  Vec sum = broadcast(0.0f);
  for (int64_t i = 0; i < room; i += kWidth) {
    const Vec weight = exp(sub(load(scores + i), broadcast(highest)));
    store(scores + i, weight);
    sum = add(sum, weight);
  }
  if (highest > state.highest) {
    const Vec shrink = exp(broadcast(state.highest - highest));
    state = {highest, state.sum * first(shrink)};
    for (int64_t i = 0; i < columns; i += kWidth) store(values + i, mul(load(values + i), shrink));
  }
  state.sum += reduce_add(sum);
}

// Takes in what was gathered of other positions: values [columns, whole vectors].
static inline void add_softmax(const Softmax& other, const float* other_values, int64_t columns,
                               Softmax& state, float* values) {
  const float highest = state.highest > other.highest ? state.highest : other.highest;
  const Vec shrink = exp(broadcast(state.highest - highest));
  const Vec other_shrink = exp(broadcast(other.highest - highest));
  state = {highest, state.sum * first(shrink) + other.sum * first(other_shrink)};
  for (int64_t i = 0; i < columns; i += kWidth) {
    store(values + i, fma(load(other_values + i), other_shrink, mul(load(values + i), shrink)));
  }
}

// out = what was gathered of the values, over the sum of their weights. `out` may be `values`.
static inline void divide_by_sum(const Softmax& state, const float* values, int64_t columns,
                                 float* out) {
  const Vec sum = broadcast(state.sum);
  map(values, values, out, columns, [&](Vec v, Vec) { return div(v, sum); });
}

// One head's results for all queries of a sequence, of sums `stride` floats apart.
static inline void write_head(const fathom_mla_attention_args& args,
                              const fathom_sequence& sequence, int64_t head, const Softmax* states,
                              const float* sums, int64_t stride) {
  for (int64_t i = 0; i < sequence.query_count; ++i) {
    divide_by_sum(states[i], sums + i * stride, args.shape.v_dim,
                  row_of(args.out, sequence.query_begin + i) + head * args.shape.v_dim);
  }
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
