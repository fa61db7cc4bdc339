// MLA_DECODE before and behind its segments.
#include "backends/gpu/kernels/mla/mla_decode_parts.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kPlanThreads = 256;
constexpr int kCombineThreads = 128;

GPU_DEVICE void store_query(const DecodeCall& call, int i, const Query& query) {
  const Vec<int32_t, kQueryNumbers> numbers = {{query.row, query.visible, query.block_begin, 0}};
  store_vec(call.queries, int64_t{i} * kQueryNumbers, numbers);
}

// One block; a thread a sequence, behind the queries of those before it.
GPU_KERNEL void mla_decode_plan(DecodeCall call) {
  const int count = load(call.sequences.count);
  int total = 0;
  for (int s = 0; s < count; ++s) {
    const auto sequence = call.sequences.get(s);
    if (s % threads() == thread()) {
      for (int i = 0; i < sequence.query_count && total + i < call.max_queries; ++i) {
        store_query(call, total + i,
                    {sequence.query_begin + i, sequence.context + i + 1, sequence.block_begin});
      }
    }
    total += sequence.query_count;
  }
  for (int i = total + thread(); i < call.max_queries; i += threads()) {
    store_query(call, i, {-1, 0, 0});
  }
}

// A block a head of a query.
GPU_KERNEL void mla_decode_combine(DecodeCall call) {
  const int64_t q = block_x();
  const int head = block_y();
  const Query query = load_query(call.queries, q);
  if (query.row < 0) return;
  const int length = call.segment_length(query.visible);
  const int segments = (query.visible + length - 1) / length;
  const int64_t first = call.segment(q, head, 0);
  float greatest = load(call.segment_sums, first * 2);
  for (int s = 1; s < segments; ++s) {
    const float one = load(call.segment_sums, (first + s) * 2);
    greatest = one > greatest ? one : greatest;
  }
  float sum = 0;
  for (int s = 0; s < segments; ++s) {
    const float factor = exp(load(call.segment_sums, (first + s) * 2) - greatest);
    sum = fma(load(call.segment_sums, (first + s) * 2 + 1), factor, sum);
  }
  const int latent = call.shape.kv_lora_rank;
  for (int i = thread(); i < latent; i += threads()) {
    float value = 0;
    for (int s = 0; s < segments; ++s) {
      const float factor = exp(load(call.segment_sums, (first + s) * 2) - greatest);
      value = fma(load(call.segment_out, (first + s) * latent + i), factor, value);
    }
    store(call.latent_out, (q * call.shape.num_heads + head) * latent + i,
          narrow<bf16>(value / sum));
  }
}

// blocks: (64 values of a head, head, some queries)
template <typename W, int kTokens>
GPU_KERNEL void mla_decode_values(DecodeCall call, Weights<W> wkv_b, ProductDepth depth) {
  using Block = Product<W, kTokens>;
  const int first_value = static_cast<int>(block_x()) * Block::kRows;
  const int head = block_y();
  const int first_query = block_z() * kTokens;
  const int64_t first_row =
      int64_t{head} * (call.shape.nope_dim + call.shape.v_dim) + call.shape.nope_dim;
  Block::run(
      0, depth,
      [&](int m) {
        const int value = first_value + m;
        return value < call.shape.v_dim ? wkv_b.row(first_row + value) : WeightRow<W>();
      },
      [&](int t) {
        const int64_t q = first_query + t;
        if (q >= call.max_queries || load(call.queries, q * kQueryNumbers) < 0) {
          return Global<const bf16>();
        }
        return Global<const bf16>(call.latent_out) +
               (q * call.shape.num_heads + head) * call.shape.kv_lora_rank;
      });
  const auto results = Block::results(0);
  for (int i = thread(); i < kTokens * Block::kRows; i += threads()) {
    const int t = i / Block::kRows;
    const int value = first_value + i % Block::kRows;
    const int64_t q = first_query + t;
    if (q >= call.max_queries || value >= call.shape.v_dim) continue;
    const int row = load(call.queries, q * kQueryNumbers);
    if (row < 0) continue;
    store(call.out(row), int64_t{head} * call.shape.v_dim + value,
          narrow<bf16>(load(results, t * Block::kResultStride + i % Block::kRows)));
  }
}

template <typename W, int kTokens>
fathom_status queue_values(Queue& queue, const DecodeCall& call, const fathom_weight& wkv_b) {
  using Block = Product<W, kTokens>;
  const Shape shape = {(call.shape.v_dim + Block::kRows - 1) / Block::kRows, call.shape.num_heads,
                       (call.max_queries + kTokens - 1) / kTokens, Block::kThreads,
                       Block::kSharedBytes};
  const ProductDepth depth = {wkv_b.k, wkv_b.block_k, are_rows_aligned(wkv_b, kLoadBytes), true};
  return launch(queue, "mla_decode_values", shape, mla_decode_values<W, kTokens>, call,
                weights_of<W>(wkv_b), depth);
}

}  // namespace

fathom_status queue_decode_plan(Queue& queue, const DecodeCall& call) {
  return launch(queue, "mla_decode_plan", {1, 1, 1, kPlanThreads, 0}, mla_decode_plan, call);
}

fathom_status queue_decode_combine(Queue& queue, const DecodeCall& call) {
  return launch(queue, "mla_decode_combine",
                {call.max_queries, call.shape.num_heads, 1, kCombineThreads, 0}, mla_decode_combine,
                call);
}

fathom_status queue_decode_values(Queue& queue, const DecodeCall& call,
                                  const fathom_weight& wkv_b) {
  return with_weight_type(wkv_b, [&](auto type) {
    using W = decltype(type);
    return call.max_queries <= 16 ? queue_values<W, 16>(queue, call, wkv_b)
                                  : queue_values<W, 64>(queue, call, wkv_b);
  });
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
