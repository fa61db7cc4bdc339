// Draws a sequence's next token.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/sequence.h"
#include "sampling/sampler.h"

namespace fathom::engine {

// The token after the first `length` ones (drafts among them, or none), from the logits behind
// them, as sampling::sample() does, and within what the sequence's guide allows. Stop tokens, too,
// where the sequence may stop. nullopt where sample() gives none, or where nothing may follow.
std::optional<TokenId> next_token(const Sequence& sequence, int64_t length,
                                  std::span<const float> logits, sampling::SamplerScratch& scratch);

}  // namespace fathom::engine
