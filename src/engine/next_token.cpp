#include "engine/next_token.h"

#include <algorithm>

namespace fathom::engine {
namespace {

void set_bits(std::span<uint32_t> mask, std::span<const TokenId> tokens, bool value) {
  for (const TokenId token : tokens) {
    const auto id = static_cast<uint32_t>(token);
    const uint32_t bit = 1U << id % 32;
    mask[id / 32] = value ? mask[id / 32] | bit : mask[id / 32] & ~bit;
  }
}

// Follows the drafts for as long as it lives. They were drawn within the guide, so all fit.
class FollowedDrafts {
 public:
  FollowedDrafts(Guide& guide, std::span<const TokenId> drafts) : guide_(guide) {
    for (const TokenId draft : drafts) {
      if (!guide_.accept(draft)) return;
      ++count_;
    }
  }
  ~FollowedDrafts() { guide_.rollback(count_); }
  FollowedDrafts(const FollowedDrafts&) = delete;
  FollowedDrafts& operator=(const FollowedDrafts&) = delete;

 private:
  Guide& guide_;
  int64_t count_ = 0;
};

// What the guide allows, and the stop tokens where both it and min_tokens let the answer end. Those
// are not held back where nothing else may come.
std::span<const uint32_t> allowed(Guide& guide, std::span<const TokenId> stop_tokens, bool may_stop,
                                  std::span<uint32_t> mask) {
  guide.fill_mask(mask);
  if (!guide.can_end()) return mask;
  if (!may_stop) set_bits(mask, stop_tokens, false);
  const bool empty = std::all_of(mask.begin(), mask.end(), [](uint32_t word) { return word == 0; });
  if (may_stop || empty) set_bits(mask, stop_tokens, true);
  return mask;
}

}  // namespace

std::optional<TokenId> next_token(const Sequence& sequence, int64_t length,
                                  std::span<const float> logits,
                                  sampling::SamplerScratch& scratch) {
  const std::span<const TokenId> tokens(sequence.tokens.data(), static_cast<size_t>(length));
  sampling::Draw draw{.params = sequence.sampling,
                      .tokens = tokens,
                      .generated_from = sequence.given_size,
                      .banned = {},
                      .mask = {},
                      .seed = sequence.seed};
  const bool may_stop = length - sequence.prompt_size >= sequence.sampling.min_tokens;
  if (sequence.guide == nullptr) {
    if (!may_stop) draw.banned = sequence.stop_tokens;
    return sampling::sample(logits, draw, scratch);
  }
  Guide& guide = *sequence.guide;
  const FollowedDrafts followed(guide, tokens.subspan(static_cast<size_t>(sequence.length())));
  if (guide.restricts()) {
    draw.mask = allowed(guide, sequence.stop_tokens, may_stop, scratch.mask);
  } else if (!may_stop || !guide.can_end()) {
    draw.banned = sequence.stop_tokens;
  }
  return sampling::sample(logits, draw, scratch);
}

}  // namespace fathom::engine
