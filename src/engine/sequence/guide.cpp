#include "engine/sequence/guide.h"

#include <fmt/format.h>

#include <algorithm>
#include <new>

namespace fathom::engine {

Result<std::unique_ptr<Guide>> Guide::of(const Request& request) {
  if (request.grammar == nullptr && !request.thought) return std::unique_ptr<Guide>();
  auto guide = std::make_unique<Guide>(request.grammar, request.thought);
  const auto size = static_cast<int64_t>(request.prompt.size());
  for (int64_t i = request.generated_from.value_or(size); i < size; ++i) {
    const TokenId token = request.prompt[static_cast<size_t>(i)];
    if (guide->accept(token)) continue;
    return invalid_argument(
        fmt::format("prompt[{}]: expected a token that may stand there in the answer, got {}", i,
                    token),
        "prompt");
  }
  return guide;
}

Guide::Guide(std::shared_ptr<const grammar::CompiledGrammar> grammar,
             std::optional<Thought> thought)
    : thought_(thought) {
  if (grammar != nullptr) matcher_.emplace(std::move(grammar));
}

bool Guide::closes_thought() const {
  return in_thought() && thought_->budget && accepted_ >= *thought_->budget;
}

bool Guide::restricts() const {
  return in_thought() ? closes_thought() : matcher_.has_value();
}

void Guide::fill_mask(std::span<uint32_t> mask) {
  if (!in_thought()) return matcher_->fill_mask(mask);
  std::fill(mask.begin(), mask.end(), 0);
  const auto id = static_cast<uint32_t>(thought_->end);
  mask[id / 32] |= 1U << id % 32;
}

bool Guide::accept(TokenId token) {
  if (in_thought()) {
    if (closes_thought() && token != thought_->end) return false;
    if (token == thought_->end) thought_size_ = accepted_ + 1;
  } else if (matcher_ && !matcher_->accept(token)) {
    return false;
  }
  ++accepted_;
  return true;
}

void Guide::rollback(int64_t count) {
  const int64_t behind_thought = accepted_ - thought_size_.value_or(0);
  if (matcher_ && !in_thought()) {
    matcher_->rollback(static_cast<size_t>(std::min(count, behind_thought)));
  }
  if (thought_size_ && count > behind_thought) thought_size_.reset();
  accepted_ -= count;
}

bool Guide::can_end() {
  if (in_thought()) return !matcher_ && !closes_thought();
  return !matcher_ || matcher_->can_end();
}

bool Guide::can_continue() {
  return in_thought() || !matcher_ || matcher_->can_continue();
}

void Guide::prepare(std::span<const TokenId> drafts) {
  int64_t taken = 0;
  try {
    for (;;) {
      if (!in_thought() && matcher_) matcher_->prepare_mask();
      if (taken == static_cast<int64_t>(drafts.size())) break;
      if (!accept(drafts[static_cast<size_t>(taken)])) break;
      ++taken;
    }
  } catch (const std::bad_alloc&) {
    // What is missing is looked for where it is needed; there it may fail its request alone.
  }
  rollback(taken);
}

bool Guide::prepared() {
  return in_thought() || !matcher_ || matcher_->mask_prepared();
}

}  // namespace fathom::engine
