// Keys and values from latents by int8 products, twice as fast as bf16 ones: where W_KVb is int8,
// latents are quantised for it as rows of x are for other packed weights. Here they are the side
// that lies in lanes, one a position, so they are the unsigned ones: each more by 128, which times
// the sum of a group's weights is taken off.
#pragma once

#include "backends/cpu/native/mla/mla_bf16.h"
#include "backends/cpu/native/products/quantised_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

#if FATHOM_CPU_BF16 && FATHOM_CPU_VNNI

// Columns of a latent that are turned to lanes at once.
constexpr int64_t kLatentBlock = 4 * kWidth;

static inline bool expands_in_int8(const fathom_weight& wkv_b) {
  return wkv_b.dtype == FATHOM_I8 && wkv_b.layout == FATHOM_LAYOUT_ROWS &&
         wkv_b.k % kLatentBlock == 0 && wkv_b.block_k % kLatentBlock == 0 &&
         wkv_b.k % wkv_b.block_k == 0 && can_pack(wkv_b);
}

// Latents of a tile's positions, a lane each.
struct Int8Latents {
  const uint32_t* words;  // [columns / 4][kTilePositions], bytes of 4 columns, each more by 128
  const float* scales;    // [groups][kTilePositions]
};

// Bytes of quantise_latents()'s memory for rows of W_KVb's columns.
static inline int64_t int8_latents_bytes(const fathom_weight& wkv_b) {
  const int64_t groups = packed_shape(wkv_b).groups;
  return kTilePositions * (quantised_bytes(wkv_b) + wkv_b.k + groups * int64_t{sizeof(float)}) +
         wkv_b.k * int64_t{sizeof(float)};
}

static inline Int8Latents quantise_latents(const LatentRows<kTilePositions>& latents,
                                           const fathom_weight& wkv_b, std::byte* memory) {
  const PackedShape shape = packed_shape(wkv_b);
  const QuantisedShape parts = quantised_shape<PackedI8>(shape);
  auto* words = reinterpret_cast<uint32_t*>(memory);
  auto* scales = reinterpret_cast<float*>(memory + kTilePositions * shape.columns);
  auto* latent = scales + kTilePositions * shape.groups;
  auto* rows = reinterpret_cast<uint8_t*>(latent + shape.columns);
  const uint16_t* of_positions[kTilePositions];
  for (int64_t p = 0; p < kTilePositions; ++p) {
    for (int64_t i = 0; i < shape.columns; i += kWidth) {
      store(latent + i, load_bf16(latents.rows[p] + i));
    }
    uint8_t* row = rows + p * parts.bytes;
    quantise_row<PackedI8>(latent, shape, reinterpret_cast<std::byte*>(row));
    for (int64_t i = 0; i < shape.columns; ++i) row[i] ^= 0x80;  // adds 128
    for (int64_t g = 0; g < shape.groups; ++g) {
      scales[g * kTilePositions + p] = reinterpret_cast<const float*>(row + parts.scales)[g];
    }
    of_positions[p] = reinterpret_cast<const uint16_t*>(row);
  }
  pair_columns(of_positions, kTilePositions, shape.columns / 4, words, kTilePositions);
  return {words, scales};
}

// sums[r][g] = 128 times the sum of group g's weights in row `first` + r.
static inline void sum_groups(const fathom_weight& w, int64_t first, int64_t rows, int32_t* sums) {
  const int64_t groups = packed_shape(w).groups;
  for (int64_t r = 0; r < rows; ++r) {
    const auto* row = weight_row<I8Format>(w, first + r);
    for (int64_t g = 0; g < groups; ++g) {
      int32_t sum = 0;
      for (int64_t i = 0; i < w.block_k; ++i) sum += row[g * w.block_k + i];
      sums[r * groups + g] = 128 * sum;
    }
  }
}

// R rows of W_KVb from `row` on times V vectors of positions, from `position` on.
template <int R, int V>
[[gnu::noinline]] static void expand_tile(const fathom_weight& w, int64_t row,
                                          const int32_t* group_sums, Int8Latents latents,
                                          int64_t position, Output out) {
  const int64_t groups = packed_shape(w).groups;
  const auto* weights = weight_row<I8Format>(w, row);
  const uint32_t* words = latents.words + position;
  const float* scales[R] = {};
  scale_rows<I8Format>(w, row, scales);
  for (int64_t g = 0; g < groups; ++g) {
    Ints sums[R][V];
    unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
      sums[i.value / V][i.value % V] = broadcast_int(-group_sums[i.value / V * groups + g]);
    });
    const int8_t* end = weights + w.block_k;
    do {
      Ints lanes[V];
      unrolled<V>([&](auto v) __attribute__((always_inline)) {
        lanes[v.value] = load_ints(words + v.value * kWidth);
      });
      unrolled<R>([&](auto r) __attribute__((always_inline)) {
        const Ints both = broadcast_bytes(weights + r.value * w.k);
        unrolled<V>([&](auto v) __attribute__((always_inline)) {
          Ints& sum = sums[r.value][v.value];
          sum = add_products(sum, lanes[v.value], both);
        });
      });
      words += kTilePositions;
      weights += 4;
    } while (weights < end);
    const float* of_positions = latents.scales + g * kTilePositions + position;
    unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
      constexpr int r = i.value / V, v = i.value % V;
      const Vec scale = mul(load(of_positions + v * kWidth), broadcast(scales[r][g]));
      float* to = out.data + r * out.stride + v * kWidth;
      const Vec before = g == 0 ? broadcast(0.0f) : load(to);
      store(to, fma(to_floats(sums[r][v]), scale, before));
    });
  }
}

// out[r][position] = row `first` + r of W_KVb times the latent, for `rows` rows and all positions
// of the tile.
static inline void expand_latents(const fathom_weight& w, int64_t first, int64_t rows,
                                  const int32_t* group_sums, Int8Latents latents, Output out) {
  constexpr int kRows = kPairTileRows, kVectors = kPairTileVectors;
  static_assert(kTilePositions % (kVectors * kWidth) == 0);
  const int64_t groups = packed_shape(w).groups;
  for (int64_t position = 0; position < kTilePositions; position += kVectors * kWidth) {
    for (int64_t r = 0; r < rows; r += kRows) {
      with_count<kRows>(min_of(kRows, rows - r), [&](auto count) {
        expand_tile<decltype(count)::value, kVectors>(w, first + r, group_sums + r * groups,
                                                      latents, position, out.from(r, position));
      });
    }
  }
}

#endif

}  // namespace fathom::cpu::FATHOM_CPU_ISA
