#include "engine/logprobs.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace fathom::engine {
namespace {

constexpr float kImpossible = -std::numeric_limits<float>::infinity();

// A whole vocabulary of tokens this far below the best one adds less than double can show.
constexpr double kNegligible = 50.0;

float finite_or_impossible(float logit) {
  return std::isfinite(logit) ? logit : kImpossible;
}

double log_sum_exp(std::span<const float> logits, float best) {
  double sum = 0.0;
  for (const float logit : logits) {
    const double below = static_cast<double>(finite_or_impossible(logit)) - best;
    if (below > -kNegligible) sum += std::exp(below);
  }
  return best + std::log(sum);
}

}  // namespace

std::optional<TokenLogprob> token_logprob(std::span<const float> logits, TokenId token, int32_t top,
                                          std::vector<TokenId>& ranking) {
  float best = kImpossible;
  for (const float logit : logits) best = std::max(best, finite_or_impossible(logit));
  if (best == kImpossible) return std::nullopt;

  const double norm = log_sum_exp(logits, best);
  const auto logit_of = [&](TokenId id) {
    return finite_or_impossible(logits[static_cast<size_t>(id)]);
  };
  const auto logprob_of = [&](TokenId id) { return static_cast<float>(logit_of(id) - norm); };

  TokenLogprob result{token, logprob_of(token), {}};
  if (top <= 0) return result;
  std::iota(ranking.begin(), ranking.end(), 0);
  const size_t count = std::min(ranking.size(), static_cast<size_t>(top));
  std::partial_sort(ranking.begin(), ranking.begin() + static_cast<ptrdiff_t>(count), ranking.end(),
                    [&](TokenId a, TokenId b) {
                      return logit_of(a) != logit_of(b) ? logit_of(a) > logit_of(b) : a < b;
                    });
  result.top.reserve(count);
  for (size_t i = 0; i < count; ++i) result.top.emplace_back(ranking[i], logprob_of(ranking[i]));
  return result;
}

}  // namespace fathom::engine
