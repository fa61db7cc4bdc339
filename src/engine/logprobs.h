// Log-probabilities of one row of logits: the model's own distribution.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace fathom::engine {

// Of `token`, with the `top` best tokens (fewer where the vocabulary is smaller), best first, ties
// by lower id. Sums in double in the order of ids. A logit that is not finite has probability 0;
// nullopt where no logit is finite. `ranking`: working space [vocab].
std::optional<TokenLogprob> token_logprob(std::span<const float> logits, TokenId token, int32_t top,
                                          std::vector<TokenId>& ranking);

}  // namespace fathom::engine
