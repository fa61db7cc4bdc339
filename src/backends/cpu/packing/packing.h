// How int8 and 4-bit weights lie in the CPU's own layout, which all native kernel sets read.
//
// A strip is kStripOutputs rows of W side by side, the last strip filled up with zeros. It holds
// one chunk for each group of columns that share scales, one after the other:
//
//     steps   [steps of the group][kStripOutputs][4 bytes]
//     scales  [kStripOutputs], I8: F32, I4: F16
//
// Bytes are unsigned. I8: a step is 4 columns, a byte a column, each more by 128. I4: a step is 8
// columns, column j in the low half of byte j and column 4 + j in the high half, each more by 8.
// Columns beyond a group's end are any. So a vector of 32-bit lanes has one output a lane and
// multiplies with 4 columns of x that all lanes share, and a strip is one stream of memory.
#pragma once

#include <cstdint>

#include "device/abi.h"

namespace fathom::cpu {

constexpr int32_t kLayoutPacked = 1;
constexpr int64_t kStripOutputs = 32;
constexpr int64_t kStepBytes = kStripOutputs * 4;

// The sum of a group's products must fit 32 bits: 2^15 * 255 * 127 does.
constexpr int64_t kMostGroupColumns = int64_t{1} << 15;
// A row of x in int16 or int8 with its groups' scales must fit a share of scratch memory.
constexpr int64_t kMostPackedColumns = int64_t{1} << 18;

struct PackedShape {
  int64_t columns;  // k
  int64_t group;    // columns of every group but the last, which may have less
  int64_t groups;
  int64_t step;         // columns of one
  int64_t group_steps;  // steps of a whole group
  int64_t chunk_bytes;  // of a whole group
  int64_t strip_bytes;
  int64_t strips;
};

static inline int64_t steps_of(const PackedShape& shape, int64_t group) {
  const int64_t rest = shape.columns - group * shape.group;
  const int64_t columns = rest < shape.group ? rest : shape.group;
  return (columns + shape.step - 1) / shape.step;
}

static inline PackedShape packed_shape(const fathom_weight& w) {
  PackedShape shape = {};
  shape.columns = w.k;
  shape.group = w.block_k < w.k ? w.block_k : w.k;
  shape.groups = (w.k + shape.group - 1) / shape.group;
  shape.step = w.dtype == FATHOM_I4 ? 8 : 4;
  shape.group_steps = steps_of(shape, 0);
  const int64_t scales = kStripOutputs * (w.dtype == FATHOM_I4 ? 2 : 4);
  shape.chunk_bytes = shape.group_steps * kStepBytes + scales;
  shape.strip_bytes = (shape.groups - 1) * shape.chunk_bytes +
                      steps_of(shape, shape.groups - 1) * kStepBytes + scales;
  shape.strips = (w.n + kStripOutputs - 1) / kStripOutputs;
  return shape;
}

static inline bool can_pack(const fathom_weight& w) {
  return (w.dtype == FATHOM_I8 || w.dtype == FATHOM_I4) && w.k <= kMostPackedColumns &&
         (w.k <= kMostGroupColumns || w.block_k <= kMostGroupColumns);
}

}  // namespace fathom::cpu
