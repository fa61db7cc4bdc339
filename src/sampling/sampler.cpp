#include "sampling/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "sampling/noise.h"
#include "sampling/nucleus.h"

namespace fathom::sampling {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();

// exp(-50) of the best token's weight: a whole vocabulary of such tokens weighs less than the
// 2^-53 steps of the noise, so they are never drawn and need no exponential.
constexpr double kNegligible = 50.0;

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
  const Parameters& params = draw.params;
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

// The last-ranked of the tokens from rule.least on that top_k and top_p leave.
Candidate narrow(const LogitRow& row, const Parameters& params, const WeightRule& rule,
                 std::vector<Candidate>& candidates) {
  if (params.top_k <= 0) return last_of_nucleus(row, rule, params.top_p, candidates);
  const auto top_k = static_cast<size_t>(params.top_k);
  candidates.clear();
  row.collect(std::max<double>(rule.least, row.reached_by(top_k)), candidates);
  std::span<Candidate> kept = candidates;
  if (top_k < kept.size()) {
    std::nth_element(kept.begin(), kept.begin() + (params.top_k - 1), kept.end(), ranks_before);
    kept = kept.first(top_k);
  }
  if (params.top_p < 1.0f) {
    const double total = weigh(kept, rule);
    kept = kept.first(nucleus(kept, params.top_p * total));
  }
  return *std::max_element(kept.begin(), kept.end(), ranks_before);
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
      mask((static_cast<size_t>(vocab_size) + 31) / 32),
      row(vocab_size) {
  candidates.reserve(static_cast<size_t>(vocab_size));
}

std::optional<TokenId> sample(std::span<const float> logits, const Draw& draw,
                              SamplerScratch& scratch) {
  const Parameters& params = draw.params;
  const std::span<const float> changed = adjusted(logits, draw, scratch);
  const LogitRow row(changed, scratch.row);
  if (!row.best_token() || params.temperature == 0.0f) return row.best_token();

  const auto position = draw.tokens.size() - static_cast<size_t>(draw.generated_from);
  const double noise = uniform_noise(draw.seed, position);
  const double depth = std::min(kNegligible, -std::log(static_cast<double>(params.min_p)));
  const WeightRule rule{.best = row.best(),
                        .inverse_temperature = 1.0 / params.temperature,
                        .least = row.best() - depth * params.temperature};
  if (params.top_k <= 0 && params.top_p >= 1.0f) {
    const double total = row.total(rule);
    return row.pick(rule, noise * total);
  }
  std::vector<Candidate>& candidates = scratch.candidates;
  const Candidate last = narrow(row, params, rule, candidates);
  candidates.clear();
  row.collect(last.logit, candidates);
  std::erase_if(candidates, [&](const Candidate& one) { return ranks_before(last, one); });
  const double total = weigh(candidates, rule);
  return pick(candidates, noise * total);
}

}  // namespace fathom::sampling
