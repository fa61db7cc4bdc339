#include "sampling/reference.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "sampling/noise.h"

namespace fathom::sampling {
namespace {

struct Token {
  TokenId id = 0;
  float logit = 0;
  uint64_t weight = 0;
};

float within_f32(float x) {
  constexpr float kGreatest = std::numeric_limits<float>::max();
  return std::clamp(x, -kGreatest, kGreatest);
}

bool ruled_out(TokenId id, const Draw& draw) {
  const auto bit = static_cast<uint32_t>(id);
  if (!draw.mask.empty() && (draw.mask[bit / 32] >> bit % 32 & 1) == 0) return true;
  return std::find(draw.banned.begin(), draw.banned.end(), id) != draw.banned.end();
}

float penalised(TokenId id, float logit, const Draw& draw, const Terms& terms) {
  const auto answer = draw.answer();
  if (std::find(draw.tokens.begin(), draw.tokens.end(), id) != draw.tokens.end()) {
    logit = within_f32(logit *
                       (logit > 0 ? terms.inverse_repetition_penalty : terms.repetition_penalty));
  }
  if (const auto count = std::count(answer.begin(), answer.end(), id); count > 0) {
    const float frequency = terms.frequency_penalty * static_cast<float>(count);
    logit = within_f32(logit - (terms.presence_penalty + frequency));
  }
  for (const auto& [token, bias] : draw.params.logit_bias) {
    if (token == id) logit = within_f32(logit + bias);
  }
  return logit;
}

// Steps 1 and 2.
std::vector<Token> ranked(std::span<const float> logits, const Draw& draw, const Terms& terms) {
  std::vector<Token> tokens;
  for (size_t i = 0; i < logits.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (!std::isfinite(logits[i]) || ruled_out(id, draw)) continue;
    tokens.push_back({id, penalised(id, logits[i], draw, terms)});
  }
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const Token& a, const Token& b) { return a.logit > b.logit; });
  return tokens;
}

uint64_t total_of(const std::vector<Token>& tokens) {
  uint64_t total = 0;
  for (const Token& token : tokens) total += token.weight;
  return total;
}

// Step 3. Exponents fall from token to token.
void weigh(std::vector<Token>& tokens, const Terms& terms) {
  const float best = tokens.front().logit;
  size_t kept = 0;
  for (Token& token : tokens) {
    const float exponent = exponent_of(token.logit, best, terms.inverse_temperature);
    if (exponent < terms.least_exponent) break;
    token.weight = weight_of(exponent);
    ++kept;
  }
  tokens.resize(kept);
}

// Step 5.
void keep_nucleus(std::vector<Token>& tokens, uint64_t share) {
  const uint64_t needed = share_of(total_of(tokens), share);
  uint64_t held = 0;
  size_t kept = 0;
  while (held < needed) held += tokens[kept++].weight;
  tokens.resize(kept);
}

// Step 6.
TokenId drawn(std::vector<Token> tokens, uint64_t noise) {
  std::sort(tokens.begin(), tokens.end(),
            [](const Token& a, const Token& b) { return a.id < b.id; });
  const uint64_t target = target_of(total_of(tokens), noise);
  uint64_t sum = 0;
  size_t at = 0;
  while ((sum += tokens[at].weight) <= target) ++at;
  return tokens[at].id;
}

}  // namespace

std::optional<TokenId> reference_sample(std::span<const float> logits, const Draw& draw) {
  const Terms terms = terms_of(draw.params);
  std::vector<Token> tokens = ranked(logits, draw, terms);
  if (tokens.empty()) return std::nullopt;
  if (terms.greedy) return tokens.front().id;
  weigh(tokens, terms);
  const auto top_k = static_cast<size_t>(terms.top_k);
  if (top_k > 0 && top_k < tokens.size()) tokens.resize(top_k);
  if (terms.share > 0) keep_nucleus(tokens, terms.share);
  return drawn(std::move(tokens), noise_bits(draw.seed, draw.position()));
}

}  // namespace fathom::sampling
