// Draws the next token from one row of logits by the rule of rule.h: a pure function of its
// arguments.
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

// nullopt where no logit is finite (or every token that has one is banned).
std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch);

}  // namespace fathom::sampling
