// How an answer goes on at another engine: the tokens that the client has become part of the
// prompt, and what the engine says of them is made to read as one answer.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "engine/request.h"

namespace fathom::gateway {

// `original` has a seed. The same tokens follow as if nothing had happened: noise, penalties, the
// thought's budget and the grammar count `sent` as generated, and the limits are what remains.
engine::Request continued(const engine::Request& original, std::span<const engine::TokenId> sent);

// One answer over any number of engines, as its listener hears it.
class Continuation {
 public:
  explicit Continuation(engine::Request original) : original_(std::move(original)) {}

  // For the next engine.
  engine::Request request() const;
  // A new engine begins: its counts start over.
  void begin_attempt();
  // The event as the listener is to hear it; nothing where it holds nothing new.
  std::optional<engine::Event> translate(engine::Event event);

  const engine::Request& original() const { return original_; }
  bool accepted() const { return accepted_; }
  // Whether all that was asked for is there, though no engine said so.
  bool complete() const;
  engine::Usage usage() const;

 private:
  int64_t all_prompt_logprobs() const { return static_cast<int64_t>(original_.prompt.size()) - 1; }
  void drop_known_logprobs(engine::Event& event);

  const engine::Request original_;
  std::vector<engine::TokenId> sent_;
  bool accepted_ = false;
  bool told_queue_seconds_ = false;
  std::optional<int64_t> cached_tokens_;  // the first that was told
  int64_t prompt_logprobs_sent_ = 0;
  int64_t sent_before_ = 0;           // tokens, by earlier engines
  int64_t prompt_logprobs_here_ = 0;  // told by this engine
};

}  // namespace fathom::gateway
