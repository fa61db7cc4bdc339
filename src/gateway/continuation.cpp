#include "gateway/continuation.h"

#include <algorithm>
#include <utility>

namespace fathom::gateway {

using engine::Event;
using engine::Request;
using engine::TokenId;

Request continued(const Request& original, std::span<const TokenId> sent) {
  Request next = original;
  if (sent.empty()) return next;
  const auto count = static_cast<int64_t>(sent.size());
  if (!next.generated_from) next.generated_from = static_cast<int64_t>(original.prompt.size());
  next.prompt.insert(next.prompt.end(), sent.begin(), sent.end());
  next.sampling.max_tokens -= count;
  next.sampling.min_tokens = std::max<int64_t>(0, next.sampling.min_tokens - count);
  return next;
}

Request Continuation::request() const {
  Request next = continued(original_, sent_);
  if (prompt_logprobs_sent_ == all_prompt_logprobs()) next.sampling.prompt_logprobs.reset();
  return next;
}

void Continuation::begin_attempt() {
  sent_before_ = static_cast<int64_t>(sent_.size());
  prompt_logprobs_here_ = 0;
}

bool Continuation::complete() const {
  return static_cast<int64_t>(sent_.size()) >= original_.sampling.max_tokens &&
         original_.sampling.max_tokens > 0;
}

engine::Usage Continuation::usage() const {
  return {.prompt_tokens = static_cast<int64_t>(original_.prompt.size()),
          .cached_tokens = cached_tokens_.value_or(0),
          .completion_tokens = static_cast<int64_t>(sent_.size())};
}

std::optional<Event> Continuation::translate(Event event) {
  if (std::exchange(accepted_, accepted_ || event.accepted)) event.accepted = false;
  drop_known_logprobs(event);
  if (told_queue_seconds_) event.queue_seconds.reset();
  told_queue_seconds_ = told_queue_seconds_ || event.queue_seconds.has_value();
  if (event.token) sent_.push_back(*event.token);
  // An engine tells how much it found in its cache with the first event of its work.
  if (!event.accepted && !cached_tokens_) cached_tokens_ = event.usage.cached_tokens;
  event.usage.prompt_tokens = static_cast<int64_t>(original_.prompt.size());
  event.usage.cached_tokens = cached_tokens_.value_or(0);
  event.usage.completion_tokens += sent_before_;
  const bool news = event.accepted || event.token || event.finish || event.queue_seconds ||
                    !event.prompt_logprobs.empty();
  if (!news) return std::nullopt;
  return event;
}

void Continuation::drop_known_logprobs(Event& event) {
  auto& logprobs = event.prompt_logprobs;
  const int64_t first = prompt_logprobs_here_;
  prompt_logprobs_here_ += static_cast<int64_t>(logprobs.size());
  const int64_t end =
      std::min(prompt_logprobs_here_, all_prompt_logprobs());  // behind them is what was generated
  const int64_t begin = std::min(std::max(first, prompt_logprobs_sent_), end);
  logprobs.resize(static_cast<size_t>(std::max<int64_t>(0, end - first)));
  logprobs.erase(logprobs.begin(), logprobs.begin() + std::max<int64_t>(0, begin - first));
  prompt_logprobs_sent_ = std::max(prompt_logprobs_sent_, end);
}

}  // namespace fathom::gateway
