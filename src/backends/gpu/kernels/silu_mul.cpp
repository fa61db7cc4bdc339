#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/kernels/rows.h"
#include "backends/gpu/kernels/silu.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kSiluThreads = 128;
constexpr int kSiluWide = kLoadBytes / 2;

struct SiluRows {
  Rows<const bf16> gate;
  Rows<const bf16> up;
  Rows<bf16> out;
  int64_t columns;
};

// A block a row.
template <int kElements>
GPU_KERNEL void silu_mul(SiluRows rows) {
  const auto gate = rows.gate(block_x());
  const auto up = rows.up(block_x());
  const auto out = rows.out(block_x());
  for (int64_t i = thread() * kElements; i < rows.columns; i += threads() * kElements) {
    const auto g = load_vec<kElements>(gate, i);
    const auto u = load_vec<kElements>(up, i);
    Vec<bf16, kElements> product;
    for (int e = 0; e < kElements; ++e) product[e] = narrow<bf16>(silu(widen(g[e])) * widen(u[e]));
    store_vec(out, i, product);
  }
}

fathom_status supports_silu_mul(const void* bytes) {
  const auto& args = *static_cast<const fathom_silu_mul_args*>(bytes);
  const int64_t columns = args.gate.shape[1];
  const bool is_taken = is_matrix(args.gate, FATHOM_BF16, columns) &&
                        is_matrix(args.up, FATHOM_BF16, columns) &&
                        is_matrix(args.out, FATHOM_BF16, columns);
  return is_taken ? FATHOM_OK : not_taken("silu_mul", "BF16 matrices of one width");
}

fathom_status queue_silu_mul(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_silu_mul_args*>(bytes);
  if (args.gate.shape[0] == 0) return FATHOM_OK;
  const SiluRows rows = {rows_of<const bf16>(args.gate), rows_of<const bf16>(args.up),
                         rows_of<bf16>(args.out), args.gate.shape[1]};
  const Shape shape = {args.gate.shape[0], 1, 1, kSiluThreads, 0};
  const bool is_wide =
      rows.columns % kSiluWide == 0 && are_rows_aligned(args.gate, 2, kLoadBytes) &&
      are_rows_aligned(args.up, 2, kLoadBytes) && are_rows_aligned(args.out, 2, kLoadBytes);
  return is_wide ? launch(queue, "silu_mul", shape, silu_mul<kSiluWide>, rows)
                 : launch(queue, "silu_mul", shape, silu_mul<1>, rows);
}

}  // namespace

const Kernel kSiluMul = {supports_silu_mul, nullptr, queue_silu_mul};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
