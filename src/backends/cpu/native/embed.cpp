#include "backends/cpu/kernels/tensor_rows.h"
#include "backends/cpu/native/kernels.h"
#include "backends/cpu/native/products/elementwise.h"
#include "backends/cpu/native/products/weight_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {
namespace {

// Columns that go through a buffer of whole vectors, for a row of `out` need not end on one.
constexpr int64_t kColumnsAtOnce = 512;

template <typename Format>
void copy_row(const fathom_weight& table, int64_t row, float* out) {
  float buffer[kColumnsAtOnce];
  for (int64_t from = 0; from < table.k; from += kColumnsAtOnce) {
    const int64_t to = min_of(table.k, from + kColumnsAtOnce);
    read_row<Format>(table, row, from, to, buffer);
    memcpy(out + from, buffer, static_cast<size_t>(to - from) * sizeof(float));
  }
}

}  // namespace

void embed(ThreadPool& pool, const fathom_embed_args& args) {
  with_format(args.table.dtype, [&](auto format) {
    for_rows(pool, args.num_tokens, args.table.k, [&](int64_t t, int) {
      if (args.tokens[t] < 0) {
        memset(row_of(args.out, t), 0, static_cast<size_t>(args.table.k) * sizeof(float));
      } else {
        copy_row<decltype(format)>(args.table, args.tokens[t], row_of(args.out, t));
      }
    });
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
