// Products of bf16 numbers with sums in F32, on one thread, for processors that multiply bf16 by
// pairs. Each sum has one chain of additions, in rising order, whatever the tile.
//
// "Rows" lie as they are used elsewhere, element after element. "Pairs" are words of two elements
// that follow each other along the dimension summed over, [elements / 2][lanes].
#pragma once

#include "backends/cpu/native/products/packed_formats.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// The processor adds the products of 32 numbers at once to 16 sums.
constexpr int64_t kBf16Width = 2 * kWidth;

static inline uint32_t word_at(const uint16_t* p) {
  uint32_t word;
  memcpy(&word, p, sizeof(word));
  return word;
}

// `count` numbers, a multiple of kWidth. In place too: out may begin where x does.
static inline void to_bf16(const float* x, int64_t count, uint16_t* out) {
  for (int64_t i = 0; i < count; i += kWidth) store_bf16(out + i, load(x + i));
}

// out[lane] = (first[lane], second[lane]) for `lanes`, a multiple of kWidth.
static inline void pair_rows(const float* first, const float* second, int64_t lanes,
                             uint32_t* out) {
  for (int64_t i = 0; i < lanes; i += kWidth) {
    store_ints(reinterpret_cast<int32_t*>(out + i), pairs_of(load(first + i), load(second + i)));
  }
}
// The same of rows in bf16; of `lanes`, a multiple of kBf16Width.
static inline void pair_rows(const uint16_t* first, const uint16_t* second, int64_t lanes,
                             uint32_t* out) {
  for (int64_t i = 0; i < lanes; i += kBf16Width) {
    const Ints a = load_ints(first + i), b = load_ints(second + i);
    store_ints(reinterpret_cast<int32_t*>(out + i), low_pairs(a, b));
    store_ints(reinterpret_cast<int32_t*>(out + i + kWidth), high_pairs(a, b));
  }
}

// out[i][lane] = elements 2i and 2i + 1 of row `lane`, for i in [0, pairs); lanes and pairs are
// multiples of kWidth.
static inline void pair_columns(const uint16_t* const* rows, int64_t lanes, int64_t pairs,
                                uint32_t* out, int64_t stride) {
  for (int64_t lane = 0; lane < lanes; lane += kWidth) {
    for (int64_t i = 0; i < pairs; i += kWidth) {
      Vec words[kWidth];
      for (int r = 0; r < kWidth; ++r) words[r] = as_floats(load_ints(rows[lane + r] + 2 * i));
      transpose(words);
      uint32_t* to = out + i * stride + lane;
      for (int r = 0; r < kWidth; ++r) store(reinterpret_cast<float*>(to + r * stride), words[r]);
    }
  }
}

// Factors that all lanes share: word(r, p) is elements 2p and 2p + 1 of row r.
struct Bf16Rows {
  const uint16_t* data;
  int64_t stride;

  Bf16Rows from(int64_t row) const { return {data + row * stride, stride}; }
  uint32_t word(int64_t r, int64_t p) const { return word_at(data + r * stride + 2 * p); }
};
// In pairs, [elements / 2][kWidth rows].
struct Bf16Columns {
  const uint32_t* data;

  Bf16Columns from(int64_t row) const { return {data + row}; }
  uint32_t word(int64_t r, int64_t p) const { return data[p * kWidth + r]; }
};

struct Bf16Pairs {
  const uint32_t* data;
  int64_t stride;  // words
};

constexpr int kPairTileRows = 6;
constexpr int kPairTileVectors = 4;

template <int R, int V, typename Factors>
[[gnu::noinline]] static void add_pair_tile(Factors a, Bf16Pairs b, int64_t pairs, Output out) {
  Vec sums[R][V];
  unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
    constexpr int r = i.value / V, v = i.value % V;
    sums[r][v] = load(out.data + r * out.stride + v * kWidth);
  });
  int64_t p = 0;
  do {
    Ints lanes[V];
    unrolled<V>([&](auto v) __attribute__((always_inline)) {
      lanes[v.value] = load_ints(b.data + p * b.stride + v.value * kWidth);
    });
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      const Ints both = broadcast_int(static_cast<int32_t>(a.word(r.value, p)));
      unrolled<V>([&](auto v) __attribute__((always_inline)) {
        Vec& sum = sums[r.value][v.value];
        sum = add_bf16(sum, lanes[v.value], both);
      });
    });
  } while (++p < pairs);
  unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
    constexpr int r = i.value / V, v = i.value % V;
    store(out.data + r * out.stride + v * kWidth, sums[r][v]);
  });
}

// out[r, lane] += a[r] . b[lane] over 2 * `pairs` elements, at least two, for `lanes` lanes, a
// multiple of kWidth.
template <typename Factors>
static inline void add_pair_products(Factors a, int64_t rows, Bf16Pairs b, int64_t lanes,
                                     int64_t pairs, Output out) {
  for (int64_t lane = 0; lane < lanes; lane += kPairTileVectors * kWidth) {
    const int64_t vectors = min_of(kPairTileVectors, (lanes - lane) / kWidth);
    const Bf16Pairs at = {b.data + lane, b.stride};
    for (int64_t r = 0; r < rows; r += kPairTileRows) {
      const Factors tile = a.from(r);
      with_count<kPairTileVectors>(vectors, [&](auto v) {
        with_count<kPairTileRows>(min_of(kPairTileRows, rows - r), [&](auto count) {
          add_pair_tile<decltype(count)::value, decltype(v)::value>(tile, at, pairs,
                                                                    out.from(r, lane));
        });
      });
    }
  }
}

// Together as many sums as a vector has lanes.
constexpr int kDotTileRows = 8;
constexpr int kDotTileColumns = kWidth / kDotTileRows;

// out[c * stride + r] = a[r] . b[c] over `width` elements, a multiple of kBf16Width, for
// kDotTileRows rows and kDotTileColumns columns.
[[gnu::noinline]] static inline void bf16_dot_tile(Bf16Rows a, const uint16_t* const* b,
                                                   int64_t width, float* out, int64_t stride) {
  Vec sums[kDotTileColumns][kDotTileRows];
  unrolled<kWidth>([&](auto i) __attribute__((always_inline)) {
    sums[i.value / kDotTileRows][i.value % kDotTileRows] = broadcast(0.0f);
  });
  int64_t k = 0;
  do {
    Ints columns[kDotTileColumns];
    unrolled<kDotTileColumns>([&](auto c) __attribute__((always_inline)) {
      columns[c.value] = load_ints(b[c.value] + k);
    });
    unrolled<kDotTileRows>([&](auto r) __attribute__((always_inline)) {
      const Ints row = load_ints(a.data + r.value * a.stride + k);
      unrolled<kDotTileColumns>([&](auto c) __attribute__((always_inline)) {
        Vec& sum = sums[c.value][r.value];
        sum = add_bf16(sum, columns[c.value], row);
      });
    });
    k += kBf16Width;
  } while (k < width);
  for (int c = 0; c < kDotTileColumns; ++c) reduce_add_8(sums[c], out + c * stride);
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
