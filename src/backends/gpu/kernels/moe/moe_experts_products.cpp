// The products of experts: gate and up with SiLU between them, then down, and the sum of each
// token.
#include "backends/gpu/kernels/moe/moe_experts_parts.h"
#include "backends/gpu/kernels/silu.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kExpertCombineThreads = 256;

// The numbers of this tile's pairs lie behind what the product has of shared memory.
template <typename Block, int kTokens>
GPU_DEVICE Shared<int32_t> load_pairs(const ExpertsCall& call, const ExpertTile& tile) {
  const auto pairs = shared<int32_t>(Block::kSharedBytes);
  for (int t = thread(); t < kTokens; t += threads()) {
    store(pairs, t, t < tile.count ? load(call.sorted, tile.begin + t) : -1);
  }
  block_barrier();
  return pairs;
}

// blocks: (tile, 32 hidden values). Half of a block's rows are gate's, the other half up's.
template <typename W, int kTokens>
GPU_KERNEL void moe_gate_up(ExpertsCall call, ProductDepth depth) {
  using Block = Product<W, kTokens>;
  constexpr int kValues = Block::kRows / 2;
  const ExpertTile tile = call.tile(block_x());
  if (tile.count == 0) return;
  const int first_value = block_y() * kValues;
  const auto gate = call.weights_of<W>(tile.expert, ExpertPart::kGate);
  const auto up = call.weights_of<W>(tile.expert, ExpertPart::kUp);
  const auto pairs = load_pairs<Block, kTokens>(call, tile);
  Block::run(
      0, depth,
      [&](int m) {
        return m < kValues ? gate.row(first_value + m) : up.row(first_value + m - kValues);
      },
      [&](int t) {
        const int pair = load(pairs, t);
        return pair < 0 ? Global<const bf16>() : call.x(pair / call.top_k);
      });
  const auto results = Block::results(0);
  for (int i = thread(); i < tile.count * kValues; i += threads()) {
    const int t = i / kValues;
    const int value = i % kValues;
    if (first_value + value >= call.gate.n) continue;
    const int at = t * Block::kResultStride + value;
    const float product = silu(load(results, at)) * load(results, at + kValues);
    store(call.hidden, int64_t{load(pairs, t)} * call.gate.n + first_value + value,
          narrow<bf16>(product));
  }
}

// blocks: (tile, 64 columns of the result)
template <typename W, int kTokens>
GPU_KERNEL void moe_down(ExpertsCall call, ProductDepth depth) {
  using Block = Product<W, kTokens>;
  const ExpertTile tile = call.tile(block_x());
  if (tile.count == 0) return;
  const int first_column = block_y() * Block::kRows;
  const auto down = call.weights_of<W>(tile.expert, ExpertPart::kDown);
  const auto pairs = load_pairs<Block, kTokens>(call, tile);
  Block::run(
      0, depth, [&](int m) { return down.row(first_column + m); },
      [&](int t) {
        const int pair = load(pairs, t);
        return pair < 0 ? Global<const bf16>()
                        : Global<const bf16>(call.hidden) + pair * call.down.k;
      });
  const auto results = Block::results(0);
  for (int i = thread(); i < tile.count * Block::kRows; i += threads()) {
    const int t = i / Block::kRows;
    const int column = first_column + i % Block::kRows;
    if (column >= call.down.n) continue;
    store(call.results, int64_t{load(pairs, t)} * call.down.n + column,
          narrow<bf16>(load(results, t * Block::kResultStride + i % Block::kRows)));
  }
}

// A block a token. Experts are added in the order in which it chose them.
GPU_KERNEL void moe_sum(ExpertsCall call, int64_t columns) {
  const int64_t token = block_x();
  const auto out = call.out(token);
  for (int64_t i = thread(); i < columns; i += threads()) {
    float sum = call.accumulates ? widen(load(out, i)) : 0.0f;
    for (int64_t pair = token * call.top_k; pair < (token + 1) * call.top_k; ++pair) {
      if (call.expert_of(pair) < 0) continue;
      sum = fma(load(call.weights, pair), widen(load(call.results, pair * columns + i)), sum);
    }
    store(out, i, narrow<bf16>(sum));
  }
}

template <typename W, int kTokens>
fathom_status queue_products(Queue& queue, const ExpertsCall& call, const ExpertDepths& depths) {
  using Block = Product<W, kTokens>;
  constexpr int kValues = Block::kRows / 2;
  Shape shape = {call.most_tiles, static_cast<int>((call.gate.n + kValues - 1) / kValues), 1,
                 Block::kThreads, Block::kSharedBytes + kTokens * int{sizeof(int32_t)}};
  const auto status =
      launch(queue, "moe_gate_up", shape, moe_gate_up<W, kTokens>, call, depths.gate);
  if (status != FATHOM_OK) return status;
  shape.grid_y = static_cast<int>((call.down.n + Block::kRows - 1) / Block::kRows);
  return launch(queue, "moe_down", shape, moe_down<W, kTokens>, call, depths.down);
}

}  // namespace

fathom_status queue_expert_products(Queue& queue, const ExpertsCall& call,
                                    const ExpertDepths& depths, const fathom_weight& format) {
  return with_weight_type(format, [&](auto type) {
    using W = decltype(type);
    return call.tile_tokens == 16 ? queue_products<W, 16>(queue, call, depths)
                                  : queue_products<W, 64>(queue, call, depths);
  });
}

fathom_status queue_expert_combine(Queue& queue, const ExpertsCall& call, int64_t tokens,
                                   int64_t columns) {
  return launch(queue, "moe_sum", {tokens, 1, 1, kExpertCombineThreads, 0}, moe_sum, call, columns);
}

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
