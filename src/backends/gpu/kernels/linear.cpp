#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/product.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

template <typename W, typename Out>
struct LinearCall {
  Rows<const bf16> x;
  int64_t tokens;
  Weights<W> weights;
  Rows<Out> out;
  ProductDepth depth;
};

// A block 64 columns of the result, for some tokens.
template <typename W, typename Out, int kTokens>
GPU_KERNEL void linear(LinearCall<W, Out> call) {
  using Block = Product<W, kTokens>;
  const int64_t first_row = block_x() * Block::kRows;
  const int64_t first_token = int64_t{block_y()} * kTokens;
  Block::run(
      0, call.depth, [&](int m) { return call.weights.row(first_row + m); },
      [&](int t) {
        const int64_t token = first_token + t;
        return token < call.tokens ? call.x(token) : Global<const bf16>();
      });
  const auto results = Block::results(0);
  for (int i = thread(); i < kTokens * Block::kRows; i += threads()) {
    const int t = i / Block::kRows;
    const int m = i % Block::kRows;
    if (first_token + t >= call.tokens || first_row + m >= call.weights.shape.n) continue;
    store(call.out(first_token + t), first_row + m,
          narrow<Out>(load(results, t * Block::kResultStride + m)));
  }
}

fathom_status supports_linear(const void* bytes) {
  const auto& args = *static_cast<const fathom_linear_args*>(bytes);
  const bool is_taken = is_matrix(args.x, FATHOM_BF16, args.weight.k) &&
                        (is_matrix(args.out, FATHOM_BF16, args.weight.n) ||
                         is_matrix(args.out, FATHOM_F32, args.weight.n));
  if (!is_taken) return not_taken("linear", "x in BF16, out in BF16 or F32");
  return takes_weight("linear", args.weight);
}

template <typename W, typename Out, int kTokens>
fathom_status queue_product(Queue& queue, const fathom_linear_args& args) {
  using Block = Product<W, kTokens>;
  const LinearCall<W, Out> call = {
      rows_of<const bf16>(args.x),
      args.x.shape[0],
      weights_of<W>(args.weight),
      rows_of<Out>(args.out),
      {args.weight.k, args.weight.block_k, are_rows_aligned(args.weight, kLoadBytes),
       args.weight.k * 2 % kLoadBytes == 0 && are_rows_aligned(args.x, 2, kLoadBytes)}};
  const Shape shape = {(args.weight.n + Block::kRows - 1) / Block::kRows,
                       static_cast<int>((call.tokens + kTokens - 1) / kTokens), 1, Block::kThreads,
                       Block::kSharedBytes};
  return launch(queue, "linear", shape, linear<W, Out, kTokens>, call);
}

template <typename W, typename Out>
fathom_status queue_for_tokens(Queue& queue, const fathom_linear_args& args) {
  return args.x.shape[0] <= 16 ? queue_product<W, Out, 16>(queue, args)
                               : queue_product<W, Out, 64>(queue, args);
}

fathom_status queue_linear(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_linear_args*>(bytes);
  if (args.x.shape[0] == 0 || args.weight.n == 0) return FATHOM_OK;
  return with_weight_type(args.weight, [&](auto type) {
    using W = decltype(type);
    return args.out.dtype == FATHOM_F32 ? queue_for_tokens<W, float>(queue, args)
                                        : queue_for_tokens<W, bf16>(queue, args);
  });
}

}  // namespace

const Kernel kLinear = {supports_linear, nullptr, queue_linear};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
