// Sums whose bits depend on nothing but their terms and the order of ranks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "device/abi.h"

namespace fathom::comm {

// Whether ordered_sum() knows the type: F32 and BF16.
bool can_sum(fathom_dtype dtype);

// out[i] = terms[0][i] + terms[1][i] + ... for `count` elements: added in F32 in this order,
// rounded to `dtype` once (to nearest, ties to even). `out` may be one of the terms.
void ordered_sum(fathom_dtype dtype, std::span<const void* const> terms, void* out, int64_t count);

}  // namespace fathom::comm
