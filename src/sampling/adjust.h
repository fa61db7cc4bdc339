// Step 1 of the rule (rule.h).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/rule.h"

namespace fathom::sampling {

// `logits` themselves where nothing changes them, else `changed` with what becomes of them.
// `changed` and `counts` are [vocab]; counts are zero between calls.
std::span<const float> adjusted(std::span<const float> logits, const Draw& draw, const Terms& terms,
                                std::vector<float>& changed, std::vector<int32_t>& counts);

}  // namespace fathom::sampling
