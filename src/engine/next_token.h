// Draws a sequence's next token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/sampler.h"
#include "engine/sequence.h"

namespace fathom::engine {

// The token after the first `length` ones, from the logits behind them, as sample() does.
std::optional<TokenId> next_token(const Sequence& sequence, int64_t length,
                                  std::span<const float> logits, SamplerScratch& scratch);

}  // namespace fathom::engine
