// Vectors of one register of the instruction set that a file is compiled for. For sources of
// fathom_vector_sources() only: they define FATHOM_ISA, a namespace, and FATHOM_LANES, the 32-bit
// lanes of a register. Such a source must not instantiate inline functions that others share, for
// the linker would keep one of them, of whichever instruction set: so no standard containers or
// algorithms, and functions in headers are static.
#pragma once

#include <string.h>

#include <cstddef>
#include <cstdint>

namespace fathom::FATHOM_ISA {

constexpr int64_t kLanes = FATHOM_LANES;
using Lanes = float __attribute__((vector_size(kLanes * 4)));
using IntLanes = int32_t __attribute__((vector_size(kLanes * 4)));
using ByteLanes = uint8_t __attribute__((vector_size(kLanes)));
using HalfLanes = uint16_t __attribute__((vector_size(kLanes * 2)));
// Of half as many.
using LongLanes = uint64_t __attribute__((vector_size(kLanes * 4)));

static inline Lanes load_lanes(const float* from) {
  Lanes lanes;
  memcpy(&lanes, from, sizeof(lanes));
  return lanes;
}

static inline IntLanes as_ints(Lanes x) {
  return reinterpret_cast<IntLanes>(x);
}

static inline Lanes as_floats(IntLanes x) {
  return reinterpret_cast<Lanes>(x);
}

// |x|. Magnitudes rank as their bits do, NaN above all.
static inline Lanes magnitude(Lanes x) {
  return as_floats(as_ints(x) & 0x7fffffff);
}

static inline int32_t greatest_lane(IntLanes lanes) {
  int32_t greatest = lanes[0];
  for (int64_t i = 1; i < kLanes; ++i) greatest = lanes[i] > greatest ? lanes[i] : greatest;
  return greatest;
}

}  // namespace fathom::FATHOM_ISA
