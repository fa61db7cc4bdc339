// Rows of x as sums of two bf16 numbers, for products with weights that bf16 holds exactly: 16 bits
// of x count, and the processor adds 32 products of bf16 at once.
#pragma once

#include "backends/cpu/native/products/dot.h"
#include "backends/cpu/native/products/elementwise.h"
#include "backends/cpu/native/products/packed_formats.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16 && FATHOM_CPU_VBMI

// Rows are split in blocks of so many columns, which FP8 weights are read in; they take as much
// memory after as before. Of each group of 16 columns the first 8 are in the block's first half,
// the others in its second, as the processor interleaves bytes. A half is the 32 numbers nearest to
// x, then those nearest to what is left of it.
constexpr int64_t kBlockColumns = 64;
constexpr int64_t kHalfFloats = 2 * kWidth;
// Longest run of columns with one scale.
constexpr int64_t kMostRunColumns = 512;

static inline bool takes_split_rows(const fathom_weight& w) {
  return w.dtype == FATHOM_F8_E4M3 && w.k % kBlockColumns == 0 && w.block_k % kBlockColumns == 0 &&
         w.block_k <= kMostRunColumns;
}

// Of each 16 of 64 numbers the first 8 to `out`, the others a half behind them.
static inline void store_halves(const uint16_t* numbers, float* out) {
  const auto* words = reinterpret_cast<const float*>(numbers);
  const Vec low = load(words), high = load(words + kWidth);
  store(out, {_mm512_shuffle_f32x4(low.v, high.v, 0x88)});
  store(out + kHalfFloats, {_mm512_shuffle_f32x4(low.v, high.v, 0xdd)});
}

// `columns`, a multiple of kBlockColumns; out may be x.
static inline void split_row(const float* x, int64_t columns, float* out) {
  for (int64_t k = 0; k < columns; k += kBlockColumns) {
    alignas(64) uint16_t nearest[kBlockColumns], rest[kBlockColumns];
    for (int64_t i = 0; i < kBlockColumns; i += kWidth) {
      const Vec value = load(x + k + i);
      store_bf16(nearest + i, value);
      store_bf16(rest + i, sub(value, load_bf16(nearest + i)));
    }
    store_halves(nearest, out + k);
    store_halves(rest, out + k + kWidth);
  }
}

#else

static inline bool takes_split_rows(const fathom_weight&) {
  return false;
}
static inline void split_row(const float*, int64_t, float*) {}

#endif

// Makes rows, `stride` floats apart, what gemm() takes with such a weight.
static inline void split_in_place(float* x, int64_t stride, int64_t rows, const fathom_weight& w) {
  if (!takes_split_rows(w)) return;
  for (int64_t r = 0; r < rows; ++r) split_row(x + r * stride, w.k, x + r * stride);
}

static inline int64_t split_bytes(int64_t rows, const fathom_weight& w) {
  return takes_split_rows(w) ? rows * w.k * static_cast<int64_t>(sizeof(float)) : 0;
}
// Rows [0, rows) of x, `stride` floats apart, as gemm() takes them with such a weight: where they
// lie, or in `memory` of split_bytes().
static inline Rows split(ThreadPool& pool, const float* x, int64_t stride, int64_t rows,
                         const fathom_weight& w, std::byte* memory) {
  if (!takes_split_rows(w)) return {x, stride, nullptr, rows};
  auto* out = reinterpret_cast<float*>(memory);
  for_rows(pool, rows, w.k, [&](int64_t r, int) { split_row(x + r * stride, w.k, out + r * w.k); });
  return {out, w.k, nullptr, rows};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
