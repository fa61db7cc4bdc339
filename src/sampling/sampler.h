// Draws the next token from one row of logits. A pure function of its arguments: the same row,
// parameters, tokens and seed give the same token.
//
// Order: repetition penalty, presence and frequency penalties, logit_bias, banned tokens; then
// greedy, or temperature, min_p, top_k, top_p, each over what the one before left, and the inverse
// of the cumulative distribution in order of token ids at one uniform number of
// (seed, position in the answer). Equal logits rank by token id, lower first. A logit that is not
// finite is never drawn.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "sampling/logit_row.h"
#include "sampling/rule.h"

namespace fathom::sampling {

// Working space of the sampler and of log-probabilities, made once for a vocabulary.
struct SamplerScratch {
  explicit SamplerScratch(int64_t vocab_size);

  std::vector<float> logits;          // [vocab]
  std::vector<int32_t> counts;        // [vocab], zero between calls
  std::vector<Candidate> candidates;  // capacity vocab
  std::vector<uint32_t> mask;         // a bit a token
  LogitRowScratch row;
};

struct Draw {
  const Parameters& params;
  std::span<const TokenId> tokens;  // prompt and answer so far
  int64_t generated_from = 0;       // where in `tokens` the answer begins
  std::span<const TokenId> banned;  // may not be drawn now
  // Nor what has no bit here (token id: bit id % 32 of word id / 32); empty: all have.
  std::span<const uint32_t> mask = {};
  uint64_t seed = 0;
};

// nullopt where no logit is finite (or every token that has one is banned).
std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch);

}  // namespace fathom::sampling
