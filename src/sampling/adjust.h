// Step 1 of the rule (rule.h).
#pragma once

#include <cstdint>
#include <span>

#include "sampling/rule.h"

namespace fathom::sampling {

// One row of logits and what changes them. Of a token, changes are asked for in the rule's order.
class AdjustedRow {
 public:
  // `logits` stay as they are. `changed`, as many, are written once something changes.
  AdjustedRow(std::span<const float> logits, const Terms& terms, std::span<float> changed)
      : logits_(logits), terms_(terms), changed_(changed) {}

  // Changes the logits themselves.
  AdjustedRow(std::span<float> logits, const Terms& terms)
      : logits_(logits), terms_(terms), changed_(logits), is_changed_(true) {}

  // A token of the prompt or the answer, once; `count` says how often it is in the answer.
  void penalise(TokenId token, int32_t count);
  void add_bias(TokenId token, float bias);
  void ban(TokenId token);
  // Rules out tokens without a bit; a word for 32 of them.
  void apply_mask(std::span<const uint32_t> mask);

  // The logits themselves where nothing has changed them.
  std::span<const float> logits() const { return logits_; }

 private:
  void begin_to_change();
  float& at(TokenId token) { return changed_[static_cast<size_t>(token)]; }

  std::span<const float> logits_;
  const Terms& terms_;
  std::span<float> changed_;
  bool is_changed_ = false;
};

// body(token, count) for each token that penalties may change, once, with its count in the answer.
// `counts` are [vocab], and zero between calls.
template <typename Body>
void for_penalised(const Draw& draw, const Terms& terms, std::span<int32_t> counts,
                   const Body& body) {
  constexpr int32_t kVisited = -1;
  const bool repetition = terms.repetition_penalty != 1.0f;
  if (!repetition && terms.presence_penalty == 0.0f && terms.frequency_penalty == 0.0f) return;
  const auto count_of = [&](TokenId token) -> int32_t& {
    return counts[static_cast<size_t>(token)];
  };
  const std::span<const TokenId> tokens = repetition ? draw.tokens : draw.answer();
  for (const TokenId token : draw.answer()) ++count_of(token);
  for (const TokenId token : tokens) {
    const int32_t count = count_of(token);
    if (count == kVisited) continue;
    body(token, count);
    count_of(token) = kVisited;
  }
  for (const TokenId token : tokens) count_of(token) = 0;
}

// `logits` themselves where nothing changes them, else `changed` with what becomes of them.
std::span<const float> adjusted(std::span<const float> logits, const Draw& draw, const Terms& terms,
                                std::span<float> changed, std::span<int32_t> counts);

}  // namespace fathom::sampling
