#include "engine/step/draws.h"

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

sampling::Draw draw_of(const Sequence& sequence, int64_t length, std::span<uint32_t> mask) {
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
    return draw;
  }
  Guide& guide = *sequence.guide;
  const FollowedDrafts followed(guide, tokens.subspan(static_cast<size_t>(sequence.length())));
  if (guide.restricts()) {
    draw.mask = allowed(guide, sequence.stop_tokens, may_stop, mask);
  } else if (!may_stop || !guide.can_end()) {
    draw.banned = sequence.stop_tokens;
  }
  return draw;
}

Draws::Draws(int64_t most, int64_t vocab_size)
    : mask_words_((static_cast<size_t>(vocab_size) + 31) / 32),
      masks_(std::make_unique_for_overwrite<uint32_t[]>(static_cast<size_t>(most) * mask_words_)) {
  draws_.reserve(static_cast<size_t>(most));
  rows_.reserve(static_cast<size_t>(most));
  read_.reserve(static_cast<size_t>(most));
}

void Draws::keep(int64_t draws, int64_t rows_read) {
  while (count() > draws) draws_.pop_back();
  rows_.resize(static_cast<size_t>(draws));
  read_.resize(static_cast<size_t>(rows_read));
}

void Draws::add(const Sequence& sequence, int64_t length, int64_t logit_row) {
  uint32_t* const mask = masks_.get() + draws_.size() * mask_words_;
  draws_.push_back(draw_of(sequence, length, {mask, mask_words_}));
  rows_.push_back(static_cast<int32_t>(logit_row));
}

}  // namespace fathom::engine
