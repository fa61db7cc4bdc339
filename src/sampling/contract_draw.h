// The rule for a draw as the chip contract has it (fathom_draw, fathom_sample_args): for chips
// whose kernels run on the host, and for who makes such draws. Templates, for this folder does not
// know the contract.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "sampling/adjust.h"
#include "sampling/sampler.h"

namespace fathom::sampling {

template <typename ContractDraw>
Terms terms_of_draw(const ContractDraw& draw) {
  return {.repetition_penalty = draw.repetition_penalty,
          .inverse_repetition_penalty = draw.inverse_repetition_penalty,
          .presence_penalty = draw.presence_penalty,
          .frequency_penalty = draw.frequency_penalty,
          .greedy = draw.greedy != 0,
          .inverse_temperature = draw.inverse_temperature,
          .least_exponent = draw.least_exponent,
          .top_k = draw.top_k,
          .share = draw.share};
}

// The other way round; leaves the rest of the draw alone.
template <typename ContractDraw>
void set_terms(const Terms& terms, ContractDraw& draw) {
  draw.share = terms.share;
  draw.greedy = terms.greedy ? 1 : 0;
  draw.repetition_penalty = terms.repetition_penalty;
  draw.inverse_repetition_penalty = terms.inverse_repetition_penalty;
  draw.presence_penalty = terms.presence_penalty;
  draw.frequency_penalty = terms.frequency_penalty;
  draw.inverse_temperature = terms.inverse_temperature;
  draw.least_exponent = terms.least_exponent;
  draw.top_k = terms.top_k;
}

template <typename T>
std::span<const T> part_of_list(const T* all, int32_t begin, int32_t count) {
  return {all + begin, static_cast<size_t>(count)};
}

// From its row of logits.
template <typename Args, typename ContractDraw>
std::optional<TokenId> draw_token(const Args& args, const ContractDraw& draw,
                                  std::span<const float> logits, RowScratch& scratch) {
  const Terms terms = terms_of_draw(draw);
  AdjustedRow row(logits, terms, scratch.logits);
  for (const auto& [token, count] : part_of_list(args.seen, draw.seen_begin, draw.seen_count)) {
    row.penalise(token, count);
  }
  for (const auto& [token, bias] : part_of_list(args.biases, draw.bias_begin, draw.bias_count)) {
    row.add_bias(token, bias);
  }
  for (const TokenId token : part_of_list(args.banned, draw.banned_begin, draw.banned_count)) {
    row.ban(token);
  }
  if (draw.mask >= 0) {
    const size_t words = (logits.size() + 31) / 32;
    row.apply_mask({args.masks + static_cast<size_t>(draw.mask) * words, words});
  }
  return draw_token(row.logits(), terms, draw.noise, scratch);
}

}  // namespace fathom::sampling
