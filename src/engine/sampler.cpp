#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/noise.h"

namespace fathom::engine {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();

// exp(-50) of the best token's weight: a whole vocabulary of such tokens weighs less than the
// 2^-53 steps of the noise, so they are never drawn and need no exponential.
constexpr double kNegligible = 50.0;

bool ranks_before(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

void set_logit(std::vector<float>& logits, TokenId token, float value) {
  float& logit = logits[static_cast<size_t>(token)];
  if (std::isfinite(logit)) logit = std::min(value, kFloatMax);
}

// Each distinct token of the prompt and the answer, once.
void penalise_repetition(std::vector<float>& logits, std::span<const TokenId> tokens, float penalty,
                         std::vector<int32_t>& counts) {
  for (const TokenId token : tokens) counts[static_cast<size_t>(token)] = 1;
  for (const TokenId token : tokens) {
    if (std::exchange(counts[static_cast<size_t>(token)], 0) == 0) continue;
    const float logit = logits[static_cast<size_t>(token)];
    set_logit(logits, token, logit > 0 ? logit / penalty : logit * penalty);
  }
}

void penalise_answer(std::vector<float>& logits, std::span<const TokenId> answer, float presence,
                     float frequency, std::vector<int32_t>& counts) {
  for (const TokenId token : answer) ++counts[static_cast<size_t>(token)];
  for (const TokenId token : answer) {
    const int32_t count = std::exchange(counts[static_cast<size_t>(token)], 0);
    if (count == 0) continue;
    const float penalty = presence + frequency * static_cast<float>(count);
    set_logit(logits, token, logits[static_cast<size_t>(token)] - penalty);
  }
}

void apply_mask(std::vector<float>& logits, std::span<const uint32_t> mask) {
  for (size_t begin = 0; begin < logits.size(); begin += 32) {
    const uint32_t word = mask[begin / 32];
    if (word == ~uint32_t{0}) continue;
    const size_t end = std::min(begin + 32, logits.size());
    for (size_t token = begin; token < end; ++token) {
      if ((word >> (token - begin) & 1) == 0) {
        logits[token] = -std::numeric_limits<float>::infinity();
      }
    }
  }
}

// `logits` themselves where nothing changes them, else a changed copy in the scratch.
std::span<const float> adjusted(std::span<const float> logits, const Draw& draw,
                                SamplerScratch& scratch) {
  const SamplingParams& params = draw.params;
  const bool repetition = params.repetition_penalty != 1.0f;
  const bool answer = params.presence_penalty != 0.0f || params.frequency_penalty != 0.0f;
  const bool rules_out = !draw.banned.empty() || !draw.mask.empty();
  if (!repetition && !answer && params.logit_bias.empty() && !rules_out) return logits;

  std::vector<float>& changed = scratch.logits;
  std::copy(logits.begin(), logits.end(), changed.begin());
  if (repetition) {
    penalise_repetition(changed, draw.tokens, params.repetition_penalty, scratch.counts);
  }
  if (answer) {
    penalise_answer(changed, draw.tokens.subspan(static_cast<size_t>(draw.generated_from)),
                    params.presence_penalty, params.frequency_penalty, scratch.counts);
  }
  for (const auto& [token, bias] : params.logit_bias) {
    set_logit(changed, token, changed[static_cast<size_t>(token)] + bias);
  }
  for (const TokenId token : draw.banned) {
    changed[static_cast<size_t>(token)] = -std::numeric_limits<float>::infinity();
  }
  if (!draw.mask.empty()) apply_mask(changed, draw.mask);
  return changed;
}

std::optional<TokenId> best_token(std::span<const float> logits) {
  std::optional<TokenId> best;
  float best_logit = 0.0f;
  for (size_t token = 0; token < logits.size(); ++token) {
    const float logit = logits[token];
    if (!std::isfinite(logit) || (best && logit <= best_logit)) continue;
    best = static_cast<TokenId>(token);
    best_logit = logit;
  }
  return best;
}

// The tokens that may be drawn: those that rank no later than `last`.
struct Cut {
  double logit = 0.0;
  TokenId token = std::numeric_limits<TokenId>::max();
};

// Fills `candidates` in order of token ids, without weights.
void collect(std::span<const float> logits, float best, const Cut& last,
             std::vector<Candidate>& candidates) {
  candidates.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    const float logit = logits[i];
    const TokenId token = static_cast<TokenId>(i);
    const bool kept = logit > last.logit || (logit == last.logit && token <= last.token);
    if (kept && logit <= best) candidates.push_back({logit, token});  // above it: infinity
  }
}

// Gives the candidates their weights; returns the sum.
double weigh(std::span<Candidate> candidates, float best, float temperature) {
  double total = 0.0;
  for (Candidate& candidate : candidates) {
    candidate.weight = std::exp((static_cast<double>(candidate.logit) - best) / temperature);
    total += candidate.weight;
  }
  return total;
}

// How many of the first-ranked candidates it takes to hold `share` of their `total` weight; they
// are moved to the front. Bisection by partial selection: linear on average.
size_t nucleus(std::span<Candidate> candidates, double share, double total) {
  // All lighter than this together weigh less than what may be left out. The best token, of weight
  // 1, is at least as heavy as the mean.
  const double least = (1.0 - share) * total / static_cast<double>(candidates.size());
  const auto light = std::partition(candidates.begin(), candidates.end(),
                                    [&](const Candidate& c) { return c.weight >= least; });

  size_t begin = 0;  // candidates before it hold less than the share,
  double held = 0.0;
  auto end = static_cast<size_t>(light - candidates.begin());  // and those before `end` hold it
  while (end - begin > 1) {
    const size_t middle = begin + (end - begin) / 2;
    const auto at = [&](size_t i) { return candidates.begin() + static_cast<ptrdiff_t>(i); };
    std::nth_element(at(begin), at(middle), at(end), ranks_before);
    double upper = 0.0;
    for (size_t i = begin; i < middle; ++i) upper += candidates[i].weight;
    if (held + upper >= share * total) {
      end = middle;
    } else {
      held += upper;
      begin = middle;
    }
  }
  return end;
}

// The last-ranked candidate that top_k and top_p leave. Reorders the candidates.
Cut narrow(std::span<Candidate> candidates, float best, const SamplingParams& params) {
  if (params.top_k > 0 && static_cast<size_t>(params.top_k) < candidates.size()) {
    std::nth_element(candidates.begin(), candidates.begin() + (params.top_k - 1), candidates.end(),
                     ranks_before);
    candidates = candidates.first(static_cast<size_t>(params.top_k));
  }
  if (params.top_p < 1.0f) {
    const double total = weigh(candidates, best, params.temperature);
    candidates = candidates.first(nucleus(candidates, params.top_p, total));
  }
  const Candidate& last = *std::max_element(candidates.begin(), candidates.end(), ranks_before);
  return {last.logit, last.token};
}

// Inverse of the cumulative distribution, in the order of the candidates.
TokenId pick(std::span<const Candidate> candidates, double target) {
  double sum = 0.0;
  for (const Candidate& candidate : candidates) {
    sum += candidate.weight;
    if (sum > target) return candidate.token;
  }
  return candidates.back().token;
}

}  // namespace

SamplerScratch::SamplerScratch(int64_t vocab_size)
    : logits(static_cast<size_t>(vocab_size)),
      counts(static_cast<size_t>(vocab_size), 0),
      ranking(static_cast<size_t>(vocab_size)),
      mask((static_cast<size_t>(vocab_size) + 31) / 32) {
  candidates.reserve(static_cast<size_t>(vocab_size));
}

std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch) {
  const SamplingParams& params = draw.params;
  const std::span<const float> row = adjusted(logits, draw, scratch);
  const std::optional<TokenId> best = best_token(row);
  if (!best || params.temperature == 0.0f) return best;

  const float best_logit = row[static_cast<size_t>(*best)];
  const double depth = std::min(kNegligible, -std::log(static_cast<double>(params.min_p)));
  Cut last{best_logit - depth * params.temperature};
  std::vector<Candidate>& candidates = scratch.candidates;
  collect(row, best_logit, last, candidates);
  if (params.top_k > 0 || params.top_p < 1.0f) {
    last = narrow(candidates, best_logit, params);
    collect(row, best_logit, last, candidates);
  }
  const double total = weigh(candidates, best_logit, params.temperature);
  const auto position = draw.tokens.size() - static_cast<size_t>(draw.generated_from);
  return pick(candidates, uniform_noise(draw.seed, position) * total);
}

}  // namespace fathom::engine
