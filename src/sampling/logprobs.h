// Log-probabilities of one row of logits: the model's own distribution.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sampling/sampler.h"

namespace fathom::sampling {

// Of `token`, with the `top` best tokens (fewer where the vocabulary is smaller), best first, ties
// by lower id, as the rule has them (rule.h). A logit that is not finite has probability 0;
// nullopt where no logit is finite.
std::optional<TokenLogprob> token_logprob(std::span<const float> logits, TokenId token, int32_t top,
                                          SamplerScratch& scratch);

}  // namespace fathom::sampling
