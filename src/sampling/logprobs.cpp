#include "sampling/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fathom::sampling {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

float finite_or_impossible(float logit) {
  return std::isfinite(logit) ? logit : kImpossible;
}

// The `count` best tokens, in order.
std::span<const Candidate> best_tokens(std::span<const float> logits, const LogitRow& row,
                                       size_t count, CandidateList& candidates) {
  candidates.clear();
  const float least = row.reached_by(count);
  if (least != kImpossible) {
    row.collect(least, candidates);
  } else {
    for (size_t i = 0; i < logits.size(); ++i) {
      candidates.push_back({finite_or_impossible(logits[i]), static_cast<TokenId>(i)});
    }
  }
  std::partial_sort(candidates.begin(), candidates.begin() + count, candidates.end(), ranks_before);
  return std::span(candidates).first(count);
}

}  // namespace

std::optional<TokenLogprob> token_logprob(std::span<const float> logits, TokenId token, int32_t top,
                                          SamplerScratch& scratch) {
  const LogitRow row(logits, scratch.row);
  if (!row.best_token()) return std::nullopt;

  const uint64_t total = row.total(weight_rule(row.best(), 1.0f, kLeastExponent));
  const double norm = row.best() + std::log(std::ldexp(static_cast<double>(total), -kWeightBits));
  const auto logprob_of = [&](float logit) {
    return static_cast<float>(finite_or_impossible(logit) - norm);
  };
  TokenLogprob result{token, logprob_of(logits[static_cast<size_t>(token)]), {}};
  if (top <= 0) return result;
  const size_t count = std::min(logits.size(), static_cast<size_t>(top));
  result.top.reserve(count);
  for (const Candidate& one : best_tokens(logits, row, count, scratch.row.candidates)) {
    result.top.emplace_back(one.token, logprob_of(one.logit));
  }
  return result;
}

}  // namespace fathom::sampling
