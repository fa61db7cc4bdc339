#include "engine/next_token.h"

namespace fathom::engine {

std::optional<TokenId> next_token(const Sequence& sequence, int64_t length,
                                  std::span<const float> logits, SamplerScratch& scratch) {
  const bool may_stop = length - sequence.prompt_size >= sequence.sampling.min_tokens;
  return sample(logits,
                {.params = sequence.sampling,
                 .tokens = std::span(sequence.tokens).first(static_cast<size_t>(length)),
                 .generated_from = sequence.given_size,
                 .banned = may_stop ? std::span<const TokenId>() : sequence.stop_tokens,
                 .seed = sequence.seed},
                scratch);
}

}  // namespace fathom::engine
