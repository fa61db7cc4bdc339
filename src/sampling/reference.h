// The rule of rule.h, step by step and with full sorts: the oracle of whoever follows it faster.
#pragma once

#include <optional>
#include <span>

#include "sampling/rule.h"

namespace fathom::sampling {

// nullopt where no logit is finite (or every token that has one is ruled out).
std::optional<TokenId> reference_sample(std::span<const float> logits, const Draw& draw);

}  // namespace fathom::sampling
