#include "backends/gpu/kernels/block_sum.h"
#include "backends/gpu/kernels/dense_args.h"
#include "backends/gpu/kernels/kernels.h"
#include "backends/gpu/words.h"

namespace fathom::gpu {
inline namespace FATHOM_GPU_DIALECT {
namespace {

constexpr int kThreads = 256;
constexpr int kWide = kLoadBytes / 2;  // elements of one load

struct Rows {
  Global<const bf16> x;
  Global<bf16> residual;  // or null
  Global<const float> weight;
  Global<bf16> out;
  int64_t x_stride;
  int64_t residual_stride;
  int64_t out_stride;
  int64_t columns;
  float eps;
};

// A block a row. With a residual the first pass stores the sum, rounded, and the second reads it
// again: what is normed is what is stored.
template <int kElements>
GPU_KERNEL void rms_norm(Rows rows) {
  const auto x = rows.x + block_x() * rows.x_stride;
  const auto residual = rows.residual + block_x() * rows.residual_stride;
  const auto out = rows.out + block_x() * rows.out_stride;
  const bool adds = !rows.residual.is_null();
  float sum = 0;
  for (int64_t i = thread() * kElements; i < rows.columns; i += threads() * kElements) {
    auto values = load_vec<kElements>(x, i);
    if (adds) {
      const auto old = load_vec<kElements>(residual, i);
      for (int e = 0; e < kElements; ++e) {
        values[e] = narrow<bf16>(widen(old[e]) + widen(values[e]));
      }
      store_vec(residual, i, values);
    }
    for (int e = 0; e < kElements; ++e) sum = fma(widen(values[e]), widen(values[e]), sum);
  }
  const float mean = block_sum(sum, shared<float>(0)) / static_cast<float>(rows.columns);
  const float scale = rsqrt(mean + rows.eps);
  for (int64_t i = thread() * kElements; i < rows.columns; i += threads() * kElements) {
    // Those of its own: no thread reads what another stored.
    const auto values = load_vec<kElements>(adds ? Global<const bf16>(residual) : x, i);
    Vec<bf16, kElements> normed;
    for (int e = 0; e < kElements; ++e) {
      normed[e] = narrow<bf16>(widen(values[e]) * scale * load(rows.weight, i + e));
    }
    store_vec(out, i, normed);
  }
}

fathom_status supports(const void* bytes) {
  const auto& args = *static_cast<const fathom_rms_norm_args*>(bytes);
  const int64_t columns = args.x.shape[1];
  const bool is_taken =
      is_matrix(args.x, FATHOM_BF16, columns) && is_matrix(args.out, FATHOM_BF16, columns) &&
      (args.residual.data == nullptr || is_matrix(args.residual, FATHOM_BF16, columns));
  return is_taken ? FATHOM_OK : not_taken("rms_norm", "BF16 matrices of one width");
}

fathom_status queue_rms_norm(Queue& queue, const void* bytes) {
  const auto& args = *static_cast<const fathom_rms_norm_args*>(bytes);
  const Rows rows = {static_cast<const bf16*>(args.x.data),
                     static_cast<bf16*>(args.residual.data),
                     args.weight,
                     static_cast<bf16*>(args.out.data),
                     args.x.stride[0],
                     args.residual.stride[0],
                     args.out.stride[0],
                     args.x.shape[1],
                     args.eps};
  const Shape shape = {args.x.shape[0], 1, 1, kThreads,
                       kThreads / kWarp * static_cast<int>(sizeof(float))};
  const bool is_wide = rows.columns % kWide == 0 && are_rows_aligned(args.x, 2, kLoadBytes) &&
                       are_rows_aligned(args.residual, 2, kLoadBytes) &&
                       are_rows_aligned(args.out, 2, kLoadBytes);
  return is_wide ? launch(queue, "rms_norm", shape, rms_norm<kWide>, rows)
                 : launch(queue, "rms_norm", shape, rms_norm<1>, rows);
}

}  // namespace

const Kernel kRmsNorm = {supports, nullptr, queue_rms_norm};

}  // namespace FATHOM_GPU_DIALECT
}  // namespace fathom::gpu
