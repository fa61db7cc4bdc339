#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kAddThreads = 128;
constexpr int kAddWide = kLoadBytes / 2;

struct AddRows {
  Rows<bf16> x;
  Rows<const bf16> y;
  int64_t columns;
};

// A block a row.
template <int kElements>
GPU_KERNEL void add(AddRows rows) {
  const auto x = rows.x(block_x());
  const auto y = rows.y(block_x());
  for (int64_t i = thread() * kElements; i < rows.columns; i += threads() * kElements) {
    const auto a = load_vec<kElements>(x, i);
    const auto b = load_vec<kElements>(y, i);
    Vec<bf16, kElements> sum;
    for (int e = 0; e < kElements; ++e) sum[e] = narrow<bf16>(widen(a[e]) + widen(b[e]));
    store_vec(x, i, sum);
  }
}

fathom_status supports_add(const void* bytes) {
  const auto& args = *static_cast<const fathom_add_args*>(bytes);
  const int64_t columns = args.x.shape[1];
  const bool is_taken =
      is_matrix(args.x, FATHOM_BF16, columns) && is_matrix(args.y, FATHOM_BF16, columns);
  return is_taken ? FATHOM_OK : not_taken("add", "BF16 matrices of one width");
}

fathom_status queue_add(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_add_args*>(bytes);
  if (args.x.shape[0] == 0) return FATHOM_OK;
  const AddRows rows = {rows_of<bf16>(args.x), rows_of<const bf16>(args.y), args.x.shape[1]};
  const Shape shape = {args.x.shape[0], 1, 1, kAddThreads, 0};
  const bool is_wide = rows.columns % kAddWide == 0 && are_rows_aligned(args.x, 2, kLoadBytes) &&
                       are_rows_aligned(args.y, 2, kLoadBytes);
  return is_wide ? launch(queue, "add", shape, add<kAddWide>, rows)
                 : launch(queue, "add", shape, add<1>, rows);
}

}  // namespace

const Kernel kAdd = {supports_add, nullptr, queue_add};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
