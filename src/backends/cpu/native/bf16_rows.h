// Rows of x in bf16, as DeepSeek's own implementation has them, for products with weights that bf16
// holds exactly: the processor adds 32 such products at once.
#pragma once

#include "backends/cpu/native/dot.h"
#include "backends/cpu/native/elementwise.h"
#include "backends/cpu/native/packed_formats.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16 && FATHOM_CPU_VBMI

// Rows are rounded in blocks of so many columns, which FP8 weights are read in. Of each group of 16
// columns the first 8 are in the block's first half, the others in its second, as the processor
// interleaves bytes.
constexpr int64_t kBlockColumns = 64;
// Longest run of columns with one scale.
constexpr int64_t kMostRunColumns = 512;

static inline bool takes_bf16_rows(const fathom_weight& w) {
  return w.dtype == FATHOM_F8_E4M3 && w.k % kBlockColumns == 0 && w.block_k % kBlockColumns == 0 &&
         w.block_k <= kMostRunColumns;
}

// `columns`, a multiple of kBlockColumns, into half as many floats' memory; out may be x.
static inline void round_row(const float* x, int64_t columns, float* out) {
  for (int64_t k = 0; k < columns; k += kBlockColumns, out += 2 * kWidth) {
    alignas(64) uint16_t numbers[kBlockColumns];
    for (int64_t i = 0; i < kBlockColumns; i += kWidth) store_bf16(numbers + i, load(x + k + i));
    const auto* words = reinterpret_cast<const float*>(numbers);
    const Vec low = load(words), high = load(words + kWidth);
    store(out, {_mm512_shuffle_f32x4(low.v, high.v, 0x88)});
    store(out + kWidth, {_mm512_shuffle_f32x4(low.v, high.v, 0xdd)});
  }
}

#else

static inline bool takes_bf16_rows(const fathom_weight&) {
  return false;
}
static inline void round_row(const float*, int64_t, float*) {}

#endif

// Makes rows, `stride` floats apart, what gemm() takes with such a weight.
static inline void round_in_place(float* x, int64_t stride, int64_t rows, const fathom_weight& w) {
  if (!takes_bf16_rows(w)) return;
  for (int64_t r = 0; r < rows; ++r) round_row(x + r * stride, w.k, x + r * stride);
}

static inline int64_t rounded_bytes(int64_t rows, const fathom_weight& w) {
  return takes_bf16_rows(w) ? rows * w.k * static_cast<int64_t>(sizeof(uint16_t)) : 0;
}
// Rows [0, rows) of x, `stride` floats apart, as gemm() takes them with such a weight: where they
// lie, or in `memory` of rounded_bytes().
static inline Rows rounded(ThreadPool& pool, const float* x, int64_t stride, int64_t rows,
                           const fathom_weight& w, std::byte* memory) {
  if (!takes_bf16_rows(w)) return {x, stride, nullptr, rows};
  auto* out = reinterpret_cast<float*>(memory);
  for_rows(pool, rows, w.k,
           [&](int64_t r, int) { round_row(x + r * stride, w.k, out + r * w.k / 2); });
  return {out, w.k / 2, nullptr, rows};
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
