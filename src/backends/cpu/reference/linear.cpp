#include <algorithm>

#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/reference/formats.h"
#include "backends/cpu/reference/kernels.h"

namespace fathom::cpu::reference {
namespace {

constexpr int64_t kRowsAtOnce = 16;

// out[t, j] for rows [begin, end), no more than kRowsAtOnce of them.
void column_of_rows(const fathom_linear_args& args, int64_t j, int64_t begin, int64_t end) {
  double sums[kRowsAtOnce] = {};
  for (int64_t i = 0; i < args.weight.k; ++i) {
    const double w = weight_value(args.weight, j, i);
    for (int64_t t = begin; t < end; ++t) sums[t - begin] += w * row_of(args.x, t)[i];
  }
  for (int64_t t = begin; t < end; ++t) {
    row_of(args.out, t)[j] = static_cast<float>(sums[t - begin]);
  }
}

}  // namespace

void linear(ThreadPool& pool, const fathom_linear_args& args) {
  const int64_t rows = args.x.shape[0];
  parallel_for(pool, args.weight.n, [&](int64_t j, int) {
    for (int64_t begin = 0; begin < rows; begin += kRowsAtOnce) {
      column_of_rows(args, j, begin, std::min(rows, begin + kRowsAtOnce));
    }
  });
}

}  // namespace fathom::cpu::reference
