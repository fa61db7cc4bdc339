// Draws the next token from one row of logits by the rule of rule.h: a pure function of its
// arguments.
#pragma once

#include <cstddef>
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
  SamplerScratch(const SamplerScratch&) = delete;
  SamplerScratch& operator=(const SamplerScratch&) = delete;

  std::vector<std::byte> memory;
  RowScratch row;               // in `memory`
  std::vector<int32_t> counts;  // [vocab], zero between calls
  std::vector<uint32_t> mask;   // a bit a token
};

// Steps 2 to 6, of logits that step 1 has adjusted (adjust.h); they may be scratch.logits.
std::optional<TokenId> draw_token(std::span<const float> adjusted, const Terms& terms,
                                  uint64_t noise, RowScratch& scratch);

// nullopt where no logit is finite (or every token that has one is banned).
std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch);

}  // namespace fathom::sampling
