#include "sampling/adjust.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace fathom::sampling {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();
constexpr float kRuledOut = -std::numeric_limits<float>::infinity();

void set_logit(std::vector<float>& logits, TokenId token, float value) {
  float& logit = logits[static_cast<size_t>(token)];
  if (std::isfinite(logit)) logit = std::clamp(value, -kFloatMax, kFloatMax);
}

// Each distinct token of the prompt and the answer, once.
void penalise_repetition(std::vector<float>& logits, std::span<const TokenId> tokens,
                         const Terms& terms, std::vector<int32_t>& counts) {
  for (const TokenId token : tokens) counts[static_cast<size_t>(token)] = 1;
  for (const TokenId token : tokens) {
    if (std::exchange(counts[static_cast<size_t>(token)], 0) == 0) continue;
    const float logit = logits[static_cast<size_t>(token)];
    set_logit(logits, token,
              logit * (logit > 0 ? terms.inverse_repetition_penalty : terms.repetition_penalty));
  }
}

void penalise_answer(std::vector<float>& logits, std::span<const TokenId> answer,
                     const Terms& terms, std::vector<int32_t>& counts) {
  for (const TokenId token : answer) ++counts[static_cast<size_t>(token)];
  for (const TokenId token : answer) {
    const int32_t count = std::exchange(counts[static_cast<size_t>(token)], 0);
    if (count == 0) continue;
    const float penalty =
        terms.presence_penalty + terms.frequency_penalty * static_cast<float>(count);
    set_logit(logits, token, logits[static_cast<size_t>(token)] - penalty);
  }
}

void apply_mask(std::vector<float>& logits, std::span<const uint32_t> mask) {
  for (size_t begin = 0; begin < logits.size(); begin += 32) {
    const uint32_t word = mask[begin / 32];
    if (word == ~uint32_t{0}) continue;
    const size_t end = std::min(begin + 32, logits.size());
    for (size_t token = begin; token < end; ++token) {
      if ((word >> (token - begin) & 1) == 0) logits[token] = kRuledOut;
    }
  }
}

}  // namespace

std::span<const float> adjusted(std::span<const float> logits, const Draw& draw, const Terms& terms,
                                std::vector<float>& changed, std::vector<int32_t>& counts) {
  const auto& bias = draw.params.logit_bias;
  const bool repetition = terms.repetition_penalty != 1.0f;
  const bool answer = terms.presence_penalty != 0.0f || terms.frequency_penalty != 0.0f;
  const bool rules_out = !draw.banned.empty() || !draw.mask.empty();
  if (!repetition && !answer && bias.empty() && !rules_out) return logits;

  std::copy(logits.begin(), logits.end(), changed.begin());
  if (repetition) penalise_repetition(changed, draw.tokens, terms, counts);
  if (answer) penalise_answer(changed, draw.answer(), terms, counts);
  for (const auto& [token, added] : bias) {
    set_logit(changed, token, changed[static_cast<size_t>(token)] + added);
  }
  for (const TokenId token : draw.banned) changed[static_cast<size_t>(token)] = kRuledOut;
  if (!draw.mask.empty()) apply_mask(changed, draw.mask);
  return changed;
}

}  // namespace fathom::sampling
