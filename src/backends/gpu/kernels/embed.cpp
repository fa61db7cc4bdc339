#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/product_args.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/kernels/weights.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kEmbedThreads = 128;

// A block a token.
template <typename W>
GPU_KERNEL void embed(Global<const int32_t> tokens, Weights<W> table, Rows<bf16> rows) {
  const int32_t token = load(tokens, block_x());
  const auto out = rows(block_x());
  WeightRow<W> row;
  if (token >= 0) row = table.row(token);
  for (int64_t i = thread(); i < table.shape.k; i += threads()) {
    float value = 0;
    if (!row.data.is_null()) {
      value = widen(load(row.data, i));
      if constexpr (kIsScaled<W>) value *= load(row.scale, i / table.shape.block_k);
    }
    store(out, i, narrow<bf16>(value));
  }
}

fathom_status supports_embed(const void* bytes) {
  const auto& args = *static_cast<const fathom_embed_args*>(bytes);
  if (!is_matrix(args.out, FATHOM_BF16, args.table.k)) {
    return not_taken("embed", "a BF16 matrix as wide as the table");
  }
  return takes_weight("embed", args.table);
}

fathom_status queue_embed(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_embed_args*>(bytes);
  if (args.num_tokens == 0) return FATHOM_OK;
  const Shape shape = {args.num_tokens, 1, 1, kEmbedThreads, 0};
  return with_weight_type(args.table, [&](auto type) {
    using W = decltype(type);
    return launch(queue, "embed", shape, embed<W>, args.tokens, weights_of<W>(args.table),
                  rows_of<bf16>(args.out));
  });
}

}  // namespace

const Kernel kEmbed = {supports_embed, nullptr, queue_embed};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
