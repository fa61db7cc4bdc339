// Products of quantised rows with packed weights, on one thread. Within a group of columns sums are
// exact integers; the groups' sums are added in rising order, in F32: a row has the same bits in
// any tile. A chunk of weights is read from memory once for all rows of a call.
#pragma once

#include <type_traits>

#include "backends/cpu/native/products/quantised_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Rows of one call: their values of a group and their sums stay in a first-level cache.
constexpr int64_t kPackedRows = 128;
constexpr int kStripVectors = kStripOutputs / kWidth;
// Tiles of rows by vectors of outputs whose sums stay in registers.
constexpr int kPackedTileRows = FATHOM_CPU_BITS == 512 ? 8 : 4;
constexpr int kPackedTileVectors = 2;
// One row alone takes more outputs at once.
constexpr int kSingleRowVectors = kStripVectors < 4 ? kStripVectors : 4;

// Results of up to kPackedRows rows with one strip.
struct StripSums {
  alignas(64) float at[kPackedRows][kStripOutputs];
};

// A group of columns of up to kPackedTileRows rows.
template <typename Format, int R>
struct RowsGroup {
  const typename Format::Value* values[R];
  float scales[R];
  int32_t biases[R];
};

template <typename Format, int R>
static inline RowsGroup<Format, R> rows_group(const QuantisedRows& x, const PackedShape& shape,
                                              const QuantisedShape& parts, int64_t group) {
  RowsGroup<Format, R> rows;
  for (int r = 0; r < R; ++r) {
    const std::byte* row = x[r];
    rows.values[r] = reinterpret_cast<const typename Format::Value*>(row) +
                     group * shape.group_steps * Format::kStep;
    rows.scales[r] = reinterpret_cast<const float*>(row + parts.scales)[group];
    rows.biases[r] = reinterpret_cast<const int32_t*>(row + parts.biases)[group];
  }
  return rows;
}

// What to bring into the first-level cache while a tile computes: its share of a later chunk. The
// processor's own prefetching ends at each page.
constexpr int64_t kLineBytes = 64;
struct Ahead {
  const uint8_t* begin;
  int64_t a_tile;  // bytes
  int64_t a_step;
};

// From group `group` of a strip, behind which `then` is read.
static inline Ahead ahead_of(const uint8_t* strip, const uint8_t* then, int64_t group,
                             const PackedShape& shape, int64_t rows) {
  constexpr int64_t kDistance = 4096;  // bytes, about what comes from memory in its latency
  const int64_t at = group + ceil_div(kDistance, shape.chunk_bytes);
  const uint8_t* begin = at < shape.groups ? strip + at * shape.chunk_bytes
                                           : then + (at - shape.groups) * shape.chunk_bytes;
  const int64_t a_tile = shape.chunk_bytes / ceil_div(rows, kPackedTileRows);
  return {begin, a_tile, a_tile / shape.group_steps};
}

// Steps [begin, end) of a group, at least one, added to the sums of R rows with V vectors of
// outputs. GCC 12 copies every sum twice a step in a loop that tests before its first.
template <typename Format, int R, int V>
[[gnu::always_inline]] static inline void add_steps(const RowsGroup<Format, R>& x,
                                                    const uint8_t* weights, int64_t begin,
                                                    int64_t end, Ahead ahead, Ints (&sums)[R][V]) {
  int64_t step = begin;
  do {
    __builtin_prefetch(ahead.begin + step * ahead.a_step);
    __builtin_prefetch(ahead.begin + step * ahead.a_step + kLineBytes);
    decltype(Format::step_weights(weights)) w[V];
    unrolled<V>([&](auto v) __attribute__((always_inline)) {
      w[v.value] = Format::step_weights(weights + step * kStepBytes + v.value * kWidth * 4);
    });
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      const auto values = Format::step_values(x.values[r.value] + step * Format::kStep);
      unrolled<V>([&](auto v) __attribute__((always_inline)) {
        sums[r.value][v.value] = Format::add_step(sums[r.value][v.value], w[v.value], values);
      });
    });
  } while (++step < end);
}

// Adds a group's products of R rows with V vectors of outputs, from the strip's `vector`th on.
template <typename Format, int R, int V>
[[gnu::noinline]] static void packed_tile(const RowsGroup<Format, R>& x, const uint8_t* chunk,
                                          int64_t steps, int vector, Ahead ahead,
                                          float (*totals)[kStripOutputs]) {
  Ints sums[R][V];
  unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
    sums[i.value / V][i.value % V] = broadcast_int(x.biases[i.value / V]);
  });
  const uint8_t* weights = chunk + vector * kWidth * 4;
  if constexpr (Format::kMostSteps * Format::kStep >= kMostGroupColumns) {
    add_steps<Format, R, V>(x, weights, 0, steps, ahead, sums);
  } else {
    for (int64_t begin = 0; begin < steps; begin += Format::kMostSteps) {
      Ints part[R][V];
      unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
        part[i.value / V][i.value % V] = broadcast_int(0);
      });
      const int64_t end = min_of(steps, begin + Format::kMostSteps);
      add_steps<Format, R, V>(x, weights, begin, end, ahead, part);
      unrolled<R * V>([&](auto i) __attribute__((always_inline)) {
        Ints& sum = sums[i.value / V][i.value % V];
        sum = Format::flush(sum, part[i.value / V][i.value % V]);
      });
    }
  }
  const uint8_t* scales = chunk + steps * kStepBytes + vector * kWidth * Format::kScaleBytes;
  unrolled<V>([&](auto v) __attribute__((always_inline)) {
    const Vec scale = Format::scales(scales + v.value * kWidth * Format::kScaleBytes);
    unrolled<R>([&](auto r) __attribute__((always_inline)) {
      float* total = totals[r.value] + (vector + v.value) * kWidth;
      // Scales first: the sum times one of them alone may be too large for a float.
      const Vec both = mul(scale, broadcast(x.scales[r.value]));
      store(total, fma(to_floats(sums[r.value][v.value]), both, load(total)));
    });
  });
}

template <typename Format, int R>
static inline void packed_rows(const QuantisedRows& x, const PackedShape& shape,
                               const QuantisedShape& parts, int64_t group, const uint8_t* chunk,
                               float (*totals)[kStripOutputs], Ahead ahead) {
  constexpr int V = R == 1 ? kSingleRowVectors : kPackedTileVectors;
  const auto rows = rows_group<Format, R>(x, shape, parts, group);
  const int64_t steps = steps_of(shape, group);
  for (int vector = 0; vector < kStripVectors; vector += V) {
    packed_tile<Format, R, V>(rows, chunk, steps, vector, ahead, totals);
  }
}

// sums[r] = x[r] times the strip, for up to kPackedRows rows. The caller reads `then` next.
template <typename Format>
static void packed_strip(const QuantisedRows& x, const PackedShape& shape, const uint8_t* strip,
                         const uint8_t* then, StripSums& sums) {
  memset(sums.at, 0, static_cast<size_t>(x.count) * sizeof(sums.at[0]));
  const QuantisedShape parts = quantised_shape<Format>(shape);
  for (int64_t group = 0; group < shape.groups; ++group) {
    const uint8_t* chunk = strip + group * shape.chunk_bytes;
    Ahead ahead = ahead_of(strip, then, group, shape, x.count);
    for (int64_t r = 0; r < x.count;) {
      with_count<kPackedTileRows>(min_of(kPackedTileRows, x.count - r), [&](auto rows) {
        constexpr int R = decltype(rows)::value;
        packed_rows<Format, R>(x.from(r, R), shape, parts, group, chunk, sums.at + r, ahead);
        ahead.begin += ahead.a_tile;
        r += R;
      });
    }
  }
}

static inline const uint8_t* strip_data(const fathom_weight& w, int64_t strip) {
  return static_cast<const uint8_t*>(w.data) + strip * packed_shape(w).strip_bytes;
}

static void packed_strip(const QuantisedRows& x, const fathom_weight& w, int64_t strip,
                         const uint8_t* then, StripSums& sums) {
  with_packed_format(w.dtype, [&](auto format) {
    packed_strip<decltype(format)>(x, packed_shape(w), strip_data(w, strip), then, sums);
  });
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
