// The product that linear layers, experts and attention share: a block multiplies 64 rows of
// weights by up to 64 tokens. Weights narrower than BF16 are widened in registers, exactly; what a
// scale is of is summed first and scaled then. Each sum goes over k from first to last in tiles of
// one shape, whatever the number of tokens.
#pragma once

#include "backends/gpu/kernels/product_args.h"
#include "backends/gpu/kernels/weights.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {

// Elements at `from`, on their way to shared memory: zeros beyond `end` and where `from` is null.
// is_wide: `from` and `end` are at multiples of N.
template <int N, typename T>
GPU_DEVICE void stage(Shared<T> to, int at, Global<const T> from, int64_t column, int64_t end,
                      bool is_wide) {
  const bool is_there = !from.is_null();
  if (is_wide) {
    copy_async_or_zero<N>(to, at, from, column, is_there && column < end);
    return;
  }
  Vec<T, N> values;
  for (int e = 0; e < N; ++e) {
    values[e] = is_there && column + e < end ? load(from, column + e) : T{};
  }
  store_vec(to, at, values);
}

GPU_DEVICE inline bf16 exact_bf16(float v) {
  return {static_cast<uint16_t>(bits_of(v) >> 16)};
}

struct ProductDepth {
  int64_t k;
  int64_t block_k;  // of scales
  bool are_weights_wide;
  bool are_tokens_wide;
};

template <typename W, int kTokens>
struct Product {
  using Unit = Tile<bf16>;
  using Sum = Unit::Sum;

  static constexpr int kWarps = 4;
  static constexpr int kThreads = kWarps * kWarp;
  static constexpr int kRows = kWarps * Unit::kRows;
  static constexpr int kColumns = kTokens / Unit::kColumns;  // tiles of a warp
  // Few tokens leave room for more of the weights on their way.
  static constexpr int kStages = kTokens == 16 ? 4 : 2;

  // Rows stand four banks apart, those of one byte an element likewise by fours.
  static constexpr int kWeightStride = kProductStep + 16 / static_cast<int>(sizeof(W));
  static constexpr int kTokenStride = kProductStep + 8;
  static constexpr int kWeightBytes = kRows * kWeightStride * static_cast<int>(sizeof(W));
  static constexpr int kTokenBytes = kTokens * kTokenStride * static_cast<int>(sizeof(bf16));
  static constexpr int kStageBytes = kWeightBytes + kTokenBytes;
  // Results lie where the stages were.
  static constexpr int kResultStride = kRows + 4;
  static constexpr int kResultBytes = kTokens * kResultStride * static_cast<int>(sizeof(float));
  static constexpr int kSharedBytes =
      kStages * kStageBytes > kResultBytes ? kStages* kStageBytes : kResultBytes;

  // results()[t * kResultStride + m] = weight_row(m) . token_row(t) for all m and t; whoever is
  // not there counts as zeros. All threads come here, and may read the results behind it. Shared
  // memory from `begin` on is the product's.
  template <typename WeightRowOf, typename TokenRowOf>
  GPU_DEVICE static void run(int begin, const ProductDepth& depth, WeightRowOf weight_row,
                             TokenRowOf token_row) {
    Sum total[kColumns] = {};
    Sum part[kColumns] = {};
    const int64_t steps = (depth.k + kProductStep - 1) / kProductStep;
    for (int s = 0; s < kStages - 1; ++s) {
      if (s < steps) load_stage(stage_at(begin, s), s, depth, weight_row, token_row);
      copy_commit();
    }
    for (int64_t s = 0; s < steps; ++s) {
      const int64_t next = s + kStages - 1;
      if (next < steps) load_stage(stage_at(begin, next), next, depth, weight_row, token_row);
      copy_commit();
      copy_wait<kStages - 1>();
      block_barrier();
      if constexpr (kIsScaled<W>) {
        multiply(stage_at(begin, s), part);
        const int64_t end = (s + 1) * kProductStep;
        if (end >= depth.k || end % depth.block_k == 0) {
          add_scaled(total, part, s * kProductStep / depth.block_k, weight_row);
        }
      } else {
        multiply(stage_at(begin, s), total);
      }
      block_barrier();
    }
    const auto to = results(begin);
    for (int c = 0; c < kColumns; ++c) {
      for (int e = 0; e < Unit::kOwned; ++e) {
        const int token = c * Unit::kColumns + Unit::column(e);
        store(to, token * kResultStride + warp() * Unit::kRows + Unit::row(e), total[c].v[e]);
      }
    }
    block_barrier();
  }

  GPU_DEVICE static Shared<float> results(int begin) { return shared<float>(begin); }

 private:
  GPU_DEVICE static int stage_at(int begin, int64_t step) {
    return begin + static_cast<int>(step % kStages) * kStageBytes;
  }

  template <typename WeightRowOf, typename TokenRowOf>
  GPU_DEVICE static void load_stage(int at, int64_t step, const ProductDepth& depth,
                                    WeightRowOf weight_row, TokenRowOf token_row) {
    load_rows<kWeightStride>(shared<W>(at), kRows, step, depth.k, depth.are_weights_wide,
                             [&](int m) { return weight_row(m).data; });
    load_rows<kTokenStride>(shared<bf16>(at + kWeightBytes), kTokens, step, depth.k,
                            depth.are_tokens_wide, token_row);
  }

  template <int kStride, typename T, typename RowOf>
  GPU_DEVICE static void load_rows(Shared<T> to, int rows, int64_t step, int64_t k, bool is_wide,
                                   RowOf row_of) {
    constexpr int kChunk = kLoadBytes / static_cast<int>(sizeof(T));
    constexpr int kChunks = kProductStep / kChunk;
    for (int i = thread(); i < rows * kChunks; i += kThreads) {
      const int row = i / kChunks;
      const int column = i % kChunks * kChunk;
      stage<kChunk>(to, row * kStride + column, row_of(row), step * kProductStep + column, k,
                    is_wide);
    }
  }

  GPU_DEVICE static void multiply(int at, Sum (&sums)[kColumns]) {
    const auto weights = shared<const W>(at) + warp() * Unit::kRows * kWeightStride;
    const auto tokens = shared<const bf16>(at + kWeightBytes);
    for (int k = 0; k < kProductStep; k += Unit::kDepth) {
      const auto a = widened(weights + k);
      for (int c = 0; c < kColumns; ++c) {
        const auto b = Unit::load_b(tokens + c * Unit::kColumns * kTokenStride + k, kTokenStride);
        Unit::add(sums[c], a, b);
      }
    }
  }

  GPU_DEVICE static typename Unit::A widened(Shared<const W> weights) {
    if constexpr (!kIsScaled<W>) {
      return Unit::load_a(weights, kWeightStride);
    } else {
      return Unit::make_a([&](int m, int k) {
        const auto narrow_ones = load_vec<Unit::kRun>(weights, m * kWeightStride + k);
        Vec<bf16, Unit::kRun> wide;
        for (int e = 0; e < Unit::kRun; ++e) wide[e] = exact_bf16(widen(narrow_ones[e]));
        return wide;
      });
    }
  }

  template <typename WeightRowOf>
  GPU_DEVICE static void add_scaled(Sum (&total)[kColumns], Sum (&part)[kColumns], int64_t block,
                                    WeightRowOf weight_row) {
    for (int e = 0; e < Unit::kOwned; ++e) {
      const auto row = weight_row(warp() * Unit::kRows + Unit::row(e));
      const float scale = row.data.is_null() ? 0.0f : load(row.scale, block);
      for (int c = 0; c < kColumns; ++c) {
        total[c].v[e] = fma(part[c].v[e], scale, total[c].v[e]);
        part[c].v[e] = 0;
      }
    }
  }
};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
