// Attention in bf16 products: about twice as fast where the processor has them. Used where the
// model's weights were rounded to 8 bits or fewer, which costs more than bf16 does; with finer
// weights attention stays in F32.
#pragma once

#include "backends/cpu/native/mla/mla_tiles.h"

#if FATHOM_CPU_BF16
#include "backends/cpu/native/products/bf16_tiles.h"
#endif

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16

static inline bool in_bf16(const fathom_mla_attention_args& args) {
  const auto& shape = args.shape;
  const bool rounded = args.wkv_b.dtype == FATHOM_I8 || args.wkv_b.dtype == FATHOM_I4;
  return rounded && shape.kv_lora_rank % kBf16Width == 0 && shape.rope_dim % kBf16Width == 0 &&
         shape.nope_dim % kWidth == 0 && shape.v_dim % kWidth == 0;
}

// The entries of N positions: where they lie, if that is in rows of bf16, or copied.
template <int64_t N>
struct LatentRows {
  const uint16_t* rows[N];
};

// Numbers of one entry, in bf16.
static inline void copy_part(const fathom_kv_cache& cache, const CachePart& part, int64_t row,
                             uint16_t* entry) {
  uint16_t* out = entry + part.column;
  const int64_t at = row * part.width;
  if (cache.dtype == FATHOM_BF16) {
    memcpy(out, static_cast<const uint16_t*>(part.data) + at,
           static_cast<size_t>(part.width) * sizeof(*out));
  } else {
    to_bf16(static_cast<const float*>(part.data) + at, part.width, out);
  }
}

// Positions [begin, end); those up to N are rows of zeros. `memory` has room for N entries.
template <int64_t N>
static inline void read_latents(const fathom_mla_attention_args& args, const int32_t* blocks,
                                int64_t begin, int64_t end, uint16_t* memory,
                                LatentRows<N>& latents) {
  const fathom_kv_cache& cache = args.cache;
  const CacheParts parts = cache_parts(cache, args.shape);
  const int64_t width = int64_t{args.shape.kv_lora_rank} + args.shape.rope_dim;
  const bool in_place = cache.dtype == FATHOM_BF16 && parts.count == 1;
  for (int64_t i = 0; i < end - begin; ++i) {
    const int64_t row = cache_row(blocks, cache.block_size, begin + i);
    if (in_place) {
      latents.rows[i] = static_cast<const uint16_t*>(cache.data) + row * width;
      continue;
    }
    uint16_t* copied = memory + i * width;
    for (int32_t p = 0; p < parts.count; ++p) copy_part(cache, parts.parts[p], row, copied);
    latents.rows[i] = copied;
  }
  if (end - begin == N) return;
  uint16_t* zeros = memory + (end - begin) * width;
  memset(zeros, 0, static_cast<size_t>(width) * sizeof(*zeros));
  for (int64_t i = end - begin; i < N; ++i) latents.rows[i] = zeros;
}

// Weights of a tile's positions, of which `visible` >= 1 count, in bf16: zeros behind them.
static inline void narrow_weights(const float* weights, int64_t visible, uint16_t* out) {
  const int64_t whole = padded(visible);
  to_bf16(weights, whole, out);
  memset(out + whole, 0, static_cast<size_t>(kTilePositions - whole) * sizeof(*out));
}

#else

static inline bool in_bf16(const fathom_mla_attention_args&) {
  return false;
}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
