// Queries into latent space: of each head, nope values through the transpose of their rows of
// wkv_b; the rotated ones follow as they are. Scales change along the sum here, so weights get them
// first and are rounded to BF16.
#include "backends/gpu/kernels/mla/mla_decode_parts.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kAbsorbWarps = 4;
constexpr int kAbsorbColumns = kAbsorbWarps * 16;  // of the latent, a block
constexpr int kAbsorbQueries = 16;
constexpr int kAbsorbWeightStride = kAbsorbColumns + 8;
constexpr int kAbsorbQueryStride = kMostNope + 8;
constexpr int kAbsorbWeightBytes = kMostNope * kAbsorbWeightStride * static_cast<int>(sizeof(bf16));
constexpr int kAbsorbSharedBytes =
    kAbsorbWeightBytes + kAbsorbQueries * kAbsorbQueryStride * static_cast<int>(sizeof(bf16));

// Of q: whether rows of heads begin where wide loads may.
struct AbsorbLoads {
  bool are_weights_wide;
  bool are_queries_wide;
};

// Weights [begin, begin + N) of a row, zeros from its end on.
template <int N, typename W>
GPU_DEVICE Vec<bf16, N> scaled_weights(const Weights<W>& weights, int64_t row, int begin,
                                       bool is_wide) {
  const WeightRow<W> from = weights.row(row);
  const int end = static_cast<int>(weights.shape.k);
  Vec<W, N> stored = {};
  if (is_wide) {
    if (begin < end) stored = load_vec<N>(from.data, begin);
  } else {
    for (int e = 0; e < N; ++e) {
      if (begin + e < end) stored[e] = load(from.data, begin + e);
    }
  }
  if constexpr (!kIsScaled<W>) return stored;
  Vec<bf16, N> scaled = {};
  for (int e = 0; e < N; ++e) {
    if (begin + e >= end) break;
    const float scale = load(from.scale, (begin + e) / weights.shape.block_k);
    scaled[e] = narrow<bf16>(widen(stored[e]) * scale);
  }
  return scaled;
}

// The head's weights [nope, 64 columns], and its queries [16, nope].
template <typename W>
GPU_DEVICE void stage_head(const DecodeCall& call, const Weights<W>& wkv_b,
                           const AbsorbLoads& loads, int first_column, int head, int first_query) {
  constexpr int kChunk = kLoadBytes / static_cast<int>(sizeof(W));
  constexpr int kChunks = kAbsorbColumns / kChunk;
  const int nope = call.shape.nope_dim;
  const auto weights = shared<bf16>(0);
  const int64_t first_row = int64_t{head} * (nope + call.shape.v_dim);
  for (int i = thread(); i < nope * kChunks; i += threads()) {
    const int row = i / kChunks;
    const int column = i % kChunks * kChunk;
    const auto chunk = scaled_weights<kChunk>(wkv_b, first_row + row, first_column + column,
                                              loads.are_weights_wide);
    for (int e = 0; e < kChunk; e += 2) {
      const Vec<bf16, 2> pair = {{chunk[e], chunk[e + 1]}};
      store_vec(weights, row * kAbsorbWeightStride + column + e, pair);
    }
  }
  constexpr int kQueryChunk = kLoadBytes / static_cast<int>(sizeof(bf16));
  const auto queries = shared<bf16>(kAbsorbWeightBytes);
  const int chunks = nope / kQueryChunk;
  for (int i = thread(); i < kAbsorbQueries * chunks; i += threads()) {
    const int t = i / chunks;
    const int column = i % chunks * kQueryChunk;
    const int q = first_query + t;
    const int row = q < call.max_queries ? load(call.queries, int64_t{q} * kQueryNumbers) : -1;
    Global<const bf16> from;
    if (row >= 0) from = call.q(row) + int64_t{head} * (nope + call.shape.rope_dim);
    stage<kQueryChunk>(queries, t * kAbsorbQueryStride + column, from, column, nope,
                       loads.are_queries_wide);
  }
  copy_commit();
  copy_wait<0>();
  block_barrier();
}

// blocks: (64 columns of the latent, head, 16 queries)
template <typename W>
GPU_KERNEL void mla_decode_absorb(DecodeCall call, Weights<W> wkv_b, AbsorbLoads loads) {
  using Unit = Tile<bf16>;
  const int first_column = static_cast<int>(block_x()) * kAbsorbColumns;
  const int head = block_y();
  const int first_query = block_z() * kAbsorbQueries;
  const int latent = call.shape.kv_lora_rank;
  stage_head(call, wkv_b, loads, first_column, head, first_query);
  const int own_columns = warp() * Unit::kRows;
  typename Unit::Sum sum;
  for (int k = 0; k < call.shape.nope_dim; k += Unit::kDepth) {
    const auto a = Unit::load_a_deep(shared<const bf16>(0) + k * kAbsorbWeightStride + own_columns,
                                     kAbsorbWeightStride);
    const auto b = Unit::load_b(shared<const bf16>(kAbsorbWeightBytes) + k, kAbsorbQueryStride);
    Unit::add(sum, a, b);
  }
  for (int e = 0; e < Unit::kOwned; ++e) {
    const int column = first_column + own_columns + Unit::row(e);
    const int64_t q = first_query + Unit::column(e);
    if (q >= call.max_queries || column >= latent) continue;
    store(call.absorbed, (q * call.shape.num_heads + head) * call.entry() + column,
          narrow<bf16>(sum.v[e]));
  }
  if (block_x() != 0) return;
  const int rope = call.shape.rope_dim;
  for (int i = thread(); i < kAbsorbQueries * rope; i += threads()) {
    const int64_t q = first_query + i / rope;
    if (q >= call.max_queries) break;
    const int row = load(call.queries, q * kQueryNumbers);
    if (row < 0) continue;
    const auto from =
        call.q(row) + (int64_t{head} * (call.shape.nope_dim + rope) + call.shape.nope_dim);
    store(call.absorbed, (q * call.shape.num_heads + head) * call.entry() + latent + i % rope,
          load(from, i % rope));
  }
}

}  // namespace

fathom_status queue_decode_absorb(Queue& queue, const DecodeCall& call,
                                  const fathom_weight& wkv_b) {
  const Shape shape = {(call.shape.kv_lora_rank + kAbsorbColumns - 1) / kAbsorbColumns,
                       call.shape.num_heads,
                       (call.max_queries + kAbsorbQueries - 1) / kAbsorbQueries,
                       kAbsorbWarps * kWarp, kAbsorbSharedBytes};
  const AbsorbLoads loads = {are_rows_aligned(wkv_b, kLoadBytes),
                             reinterpret_cast<uintptr_t>(call.q.data.address) % kLoadBytes == 0 &&
                                 call.q.stride * 2 % kLoadBytes == 0};
  return with_weight_type(wkv_b, [&](auto type) {
    using W = decltype(type);
    return launch(queue, "mla_decode_absorb", shape, mla_decode_absorb<W>, call,
                  weights_of<W>(wkv_b), loads);
  });
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
