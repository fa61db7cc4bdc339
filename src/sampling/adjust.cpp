#include "sampling/adjust.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fathom::sampling {
namespace {

constexpr float kFloatMax = std::numeric_limits<float>::max();
constexpr float kRuledOut = -std::numeric_limits<float>::infinity();

void set_logit(float& logit, float value) {
  if (std::isfinite(logit)) logit = std::clamp(value, -kFloatMax, kFloatMax);
}

}  // namespace

void AdjustedRow::begin_to_change() {
  if (is_changed_) return;
  is_changed_ = true;
  std::ranges::copy(logits_, changed_.begin());
  logits_ = changed_;
}

void AdjustedRow::penalise(TokenId token, int32_t count) {
  begin_to_change();
  float& logit = at(token);
  if (terms_.repetition_penalty != 1.0f) {
    set_logit(logit,
              logit * (logit > 0 ? terms_.inverse_repetition_penalty : terms_.repetition_penalty));
  }
  if (count == 0) return;
  const float penalty =
      terms_.presence_penalty + terms_.frequency_penalty * static_cast<float>(count);
  set_logit(logit, logit - penalty);
}

void AdjustedRow::add_bias(TokenId token, float bias) {
  begin_to_change();
  set_logit(at(token), at(token) + bias);
}

void AdjustedRow::ban(TokenId token) {
  begin_to_change();
  at(token) = kRuledOut;
}

void AdjustedRow::apply_mask(std::span<const uint32_t> mask) {
  begin_to_change();
  for (size_t begin = 0; begin < changed_.size(); begin += 32) {
    const uint32_t word = mask[begin / 32];
    if (word == ~uint32_t{0}) continue;
    const size_t end = std::min(begin + 32, changed_.size());
    for (size_t token = begin; token < end; ++token) {
      if ((word >> (token - begin) & 1) == 0) changed_[token] = kRuledOut;
    }
  }
}

std::span<const float> adjusted(std::span<const float> logits, const Draw& draw, const Terms& terms,
                                std::span<float> changed, std::span<int32_t> counts) {
  AdjustedRow row(logits, terms, changed);
  for_penalised(draw, terms, counts,
                [&](TokenId token, int32_t count) { row.penalise(token, count); });
  for (const auto& [token, bias] : draw.params.logit_bias) row.add_bias(token, bias);
  for (const TokenId token : draw.banned) row.ban(token);
  if (!draw.mask.empty()) row.apply_mask(draw.mask);
  return row.logits();
}

}  // namespace fathom::sampling
