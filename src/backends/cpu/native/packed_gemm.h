// Products of quantised rows with packed weights, on one thread. Within a group of columns sums are
// exact integers; the groups' sums are added in rising order, in F32: a row has the same bits in
// any tile. A chunk of weights is read from memory once for all rows of a call.
#pragma once

#include <type_traits>

#include "backends/cpu/native/quantised_rows.h"

namespace fathom::cpu::FATHOM_CPU_ISA {

// Rows of one call: their values of a group and their sums stay in a first-level cache.
constexpr int64_t kPackedRows = 64;
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

// Adds a group's products of R rows with V vectors of outputs, from the strip's `vector`th on.
template <typename Format, int R, int V>
static inline void packed_tile(const RowsGroup<Format, R>& x, const uint8_t* chunk, int64_t steps,
                               int vector, float (*totals)[kStripOutputs]) {
  Ints sums[R][V];
  for (int r = 0; r < R; ++r) {
    for (int v = 0; v < V; ++v) sums[r][v] = broadcast_int(x.biases[r]);
  }
  const uint8_t* weights = chunk + vector * kWidth * 4;
  for (int64_t begin = 0; begin < steps; begin += Format::kMostSteps) {
    const int64_t end = min_of(steps, begin + Format::kMostSteps);
    Ints part[R][V];
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) part[r][v] = broadcast_int(0);
    }
    for (int64_t step = begin; step < end; ++step) {
      decltype(Format::step_weights(weights)) w[V];
      for (int v = 0; v < V; ++v) {
        w[v] = Format::step_weights(weights + step * kStepBytes + v * kWidth * 4);
      }
      for (int r = 0; r < R; ++r) {
        const auto values = Format::step_values(x.values[r] + step * Format::kStep);
        for (int v = 0; v < V; ++v) part[r][v] = Format::add_step(part[r][v], w[v], values);
      }
    }
    for (int r = 0; r < R; ++r) {
      for (int v = 0; v < V; ++v) sums[r][v] = Format::flush(sums[r][v], part[r][v]);
    }
  }
  const uint8_t* scales = chunk + steps * kStepBytes + vector * kWidth * Format::kScaleBytes;
  for (int v = 0; v < V; ++v) {
    const Vec scale = Format::scales(scales + v * kWidth * Format::kScaleBytes);
    for (int r = 0; r < R; ++r) {
      float* total = totals[r] + (vector + v) * kWidth;
      // Scales first: the sum times one of them alone may be too large for a float.
      const Vec both = mul(scale, broadcast(x.scales[r]));
      store(total, fma(to_floats(sums[r][v]), both, load(total)));
    }
  }
}

template <typename Format, int R>
static inline void packed_rows(const QuantisedRows& x, const PackedShape& shape,
                               const QuantisedShape& parts, int64_t group, const uint8_t* chunk,
                               float (*totals)[kStripOutputs]) {
  constexpr int V = R == 1 ? kSingleRowVectors : kPackedTileVectors;
  const auto rows = rows_group<Format, R>(x, shape, parts, group);
  const int64_t steps = steps_of(shape, group);
  for (int vector = 0; vector < kStripVectors; vector += V) {
    packed_tile<Format, R, V>(rows, chunk, steps, vector, totals);
  }
}

// sums[r] = x[r] times the strip, for up to kPackedRows rows.
template <typename Format>
static void packed_strip(const QuantisedRows& x, const PackedShape& shape, const uint8_t* strip,
                         StripSums& sums) {
  memset(sums.at, 0, static_cast<size_t>(x.count) * sizeof(sums.at[0]));
  const QuantisedShape parts = quantised_shape<Format>(shape);
  for (int64_t group = 0; group < shape.groups; ++group) {
    const uint8_t* chunk = strip + group * shape.chunk_bytes;
    for (int64_t r = 0; r < x.count;) {
      const int64_t rest = x.count - r;
      const auto run = [&](auto rows) {
        constexpr int R = decltype(rows)::value;
        packed_rows<Format, R>(x.from(r, R), shape, parts, group, chunk, sums.at + r);
        r += R;
      };
      if (kPackedTileRows == 8 && rest >= 8) {
        run(std::integral_constant<int, kPackedTileRows>{});
      } else if (rest >= 4) {
        run(std::integral_constant<int, 4>{});
      } else if (rest >= 2) {
        run(std::integral_constant<int, 2>{});
      } else {
        run(std::integral_constant<int, 1>{});
      }
    }
  }
}

static void packed_strip(const QuantisedRows& x, const fathom_weight& w, int64_t strip,
                         StripSums& sums) {
  const PackedShape shape = packed_shape(w);
  const auto* data = static_cast<const uint8_t*>(w.data) + strip * shape.strip_bytes;
  with_packed_format(w.dtype,
                     [&](auto format) { packed_strip<decltype(format)>(x, shape, data, sums); });
}

// Strips one task takes: large contiguous parts of the weight, and enough of them that a thread
// which others hold up leaves its share to the rest.
static inline int64_t strips_at_once(int64_t strips, int threads) {
  constexpr int64_t kTasksPerThread = 8;
  return max_of(1, strips / (kTasksPerThread * threads));
}

}  // namespace fathom::cpu::FATHOM_CPU_ISA
