// Writes weights in the layout of packing.h, while a model is loaded.
#pragma once

#include <cstddef>

#include "device/abi.h"

namespace fathom::cpu {

// 0 where the weight stays in rows.
size_t packed_bytes(const fathom_weight& weight);

// `weight` is in rows and can be packed; `memory` has packed_bytes(). False, with `row` and
// `group` of the first such scale, where a scale of a 4-bit weight is no finite F16 number.
struct BadScale {
  int64_t row = 0;
  int64_t group = 0;
};
bool pack_weight(const fathom_weight& weight, void* memory, BadScale& bad);

}  // namespace fathom::cpu
