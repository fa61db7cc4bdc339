// F32 to 4 bits: of several scales of a group of 32 the one with the least squared error. kLanes
// groups at a time, so that every step is one vector operation over groups and no sum is taken
// across a vector.
#pragma once

#include "models/quantize/narrow.h"

namespace fathom::models::FATHOM_ISA {

// What the extreme number of a group may become. -8 uses the code without a positive twin; beyond
// the range, the extreme is clipped and the others are finer.
constexpr float kExtremeCodes[] = {-8.0f, -8.7f, -9.5f, -7.2f, 7.0f, 7.6f};
constexpr int kSteps = 6;

constexpr int64_t kInt4TileColumns = kLanes * kInt4Group;

struct Int4Tile {
  Lanes x[kInt4Group];  // [column of the group][group]
  Lanes step;
};

// To what F16 holds, at most its largest number: to 10 bits of fraction, and below 2^-14 to counts
// of 2^-24.
static inline Lanes round_to_f16(Lanes x) {
  const IntLanes sign = as_ints(x) & ~0x7fffffff;
  const Lanes size = magnitude(x);
  const IntLanes bits = as_ints(size);
  const Lanes normal = as_floats((bits + 0xfff + (bits >> 13 & 1)) & ~0x1fff);
  const Lanes most = Lanes{} + 65504.0f;
  Lanes rounded = size < 0x1p-14f ? (size + 0.5f) - 0.5f : normal;
  rounded = rounded > most ? most : rounded;
  return as_floats(as_ints(rounded) | sign);
}

// 1 / step, or 0 where that is no number.
static inline Lanes inverse_of(Lanes step) {
  return step != 0 ? 1 / step : Lanes{};
}

// The code of x, more by kShift.
static inline Lanes shifted_i4(Lanes x, Lanes inverse) {
  return round_shifted(x * inverse, -8, 7);
}

// Of each group the number of greatest magnitude, the first of those.
static inline Lanes extremes(const Int4Tile& tile) {
  Lanes extreme = {};
  for (const Lanes& column : tile.x) {
    extreme = magnitude(column) > magnitude(extreme) ? column : extreme;
  }
  return extreme;
}

// Tries all steps on each column, whose errors are then sums that do not wait for each other.
static inline void search_steps(Int4Tile& tile) {
  const Lanes extreme = extremes(tile);
  Lanes steps[kSteps];
  Lanes inverses[kSteps];
  Lanes errors[kSteps] = {};
#pragma GCC unroll 6
  for (int i = 0; i < kSteps; ++i) {
    steps[i] = round_to_f16(extreme / kExtremeCodes[i]);
    inverses[i] = inverse_of(steps[i]);
  }
  for (const Lanes& column : tile.x) {
#pragma GCC unroll 6
    for (int i = 0; i < kSteps; ++i) {
      const Lanes difference = (shifted_i4(column, inverses[i]) - kShift) * steps[i] - column;
      errors[i] += difference * difference;
    }
  }
  Lanes least = Lanes{} + __builtin_inff();
  tile.step = Lanes{};
#pragma GCC unroll 6
  for (int i = 0; i < kSteps; ++i) {
    tile.step = errors[i] < least ? steps[i] : tile.step;
    least = errors[i] < least ? errors[i] : least;
  }
}

// Four numbers of each of four rows become four of each of four columns; rows and columns are
// `from_stride` and `to_stride` bytes apart.
static inline void transpose_square(const std::byte* from, int64_t from_stride, std::byte* to,
                                    int64_t to_stride) {
  using Four = float __attribute__((vector_size(16)));
  Four row[4];
  for (int64_t i = 0; i < 4; ++i) memcpy(&row[i], from + i * from_stride, sizeof(Four));
  const Four low01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  const Four low23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  const Four high01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  const Four high23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  const Four column[4] = {__builtin_shufflevector(low01, low23, 0, 1, 4, 5),
                          __builtin_shufflevector(low01, low23, 2, 3, 6, 7),
                          __builtin_shufflevector(high01, high23, 0, 1, 4, 5),
                          __builtin_shufflevector(high01, high23, 2, 3, 6, 7)};
  for (int64_t i = 0; i < 4; ++i) memcpy(to + i * to_stride, &column[i], sizeof(Four));
}

// Groups [kLanes][kInt4Group] to columns of groups.
static inline void turn_groups(const float* x, Int4Tile& tile) {
  constexpr int64_t kGroupBytes = kInt4Group * sizeof(float);
  const auto* from = reinterpret_cast<const std::byte*>(x);
  auto* to = reinterpret_cast<std::byte*>(tile.x);
  for (int64_t column = 0; column < kInt4Group; column += 4) {
    for (int64_t lane = 0; lane < kLanes; lane += 4) {
      transpose_square(from + lane * kGroupBytes + column * 4, kGroupBytes,
                       to + (column * kLanes + lane) * 4, kLanes * 4);
    }
  }
}

// The tile's codes in its steps, 16 bytes a group.
static inline void write_codes(const Int4Tile& tile, std::byte* out, LaneErrors& errors) {
  IntLanes words[kInt4Group / 8] = {};  // of 8 columns, the first lowest
  const Lanes inverse = inverse_of(tile.step);
  for (int column = 0; column < kInt4Group; ++column) {
    const Lanes shifted = shifted_i4(tile.x[column], inverse);
    const IntLanes code = as_ints(shifted) - (kShiftBits - 8);
    words[column / 8] |= code << (column % 8 * 4);
    errors.add(tile.x[column], (shifted - kShift) * tile.step);
  }
  const auto* from = reinterpret_cast<const std::byte*>(words);
  for (int64_t lane = 0; lane < kLanes; lane += 4) {
    transpose_square(from + lane * 4, kLanes * 4, out + lane * kInt4Group / 2, kInt4Group / 2);
  }
}

// Columns [0, count) of a row; count is at most a tile's.
static inline void fill_tile(const float* x, int64_t count, Int4Tile& tile) {
  if (count == kInt4TileColumns) return turn_groups(x, tile);
  float filled[kInt4TileColumns] = {};
  memcpy(filled, x, static_cast<size_t>(count) * sizeof(float));
  turn_groups(filled, tile);
}

static inline void narrow_i4_tile(Int4Tile& tile, int64_t count, std::byte* out, float* scale,
                                  LaneErrors& errors) {
  search_steps(tile);
  std::byte codes[kInt4TileColumns / 2];
  write_codes(tile, codes, errors);
  memcpy(out, codes, static_cast<size_t>(count / 2));
  const int64_t groups = (count + kInt4Group - 1) / kInt4Group;
  memcpy(scale, &tile.step, static_cast<size_t>(groups) * sizeof(float));
}

static void narrow_i4(const float* x, int64_t k, std::byte* out, float* scale, WeightError& error) {
  // Filled before they are searched: what was written in squares would be waited for if it were
  // read in whole vectors at once.
  constexpr int64_t kTiles = 4;
  constexpr int64_t kColumns = kTiles * kInt4TileColumns;
  Int4Tile tiles[kTiles];
  LaneErrors errors;
  for (int64_t first = 0; first < k; first += kColumns) {
    const int64_t end = first + kColumns < k ? first + kColumns : k;
    const auto for_tiles = [&](const auto& body) {
      for (int64_t i = 0, begin = first; begin < end; ++i, begin += kInt4TileColumns) {
        body(tiles[i], begin, end - begin < kInt4TileColumns ? end - begin : kInt4TileColumns);
      }
    };
    for_tiles(
        [&](Int4Tile& tile, int64_t begin, int64_t count) { fill_tile(x + begin, count, tile); });
    for_tiles([&](Int4Tile& tile, int64_t begin, int64_t count) {
      narrow_i4_tile(tile, count, out + begin / 2, scale + begin / kInt4Group, errors);
    });
  }
  errors.add_to(error);
}

}  // namespace fathom::models::FATHOM_ISA
