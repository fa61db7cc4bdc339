// How an engine schedules its requests.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "sampling/rule.h"

namespace fathom::engine {

struct EngineOptions {
  std::vector<sampling::TokenId> eos_token_ids = {};
  int64_t max_running = 64;  // sequences per step, upper bound
  // Queue places per owner; submit() answers kResourceExhausted beyond. One API request may take at
  // most as many places as it leaves free.
  int64_t max_waiting = 2048;
  // Prompt tokens per step, shared by all sequences; twice as many while no sequence decodes.
  int64_t prefill_chunk = 512;
  bool prefix_cache = true;  // requests share the KV blocks of equal prefixes
  // Share only blocks that change no bit of an answer: those of given tokens, or of tokens that
  // both requests generated. Otherwise a later prompt also hits blocks that an answer wrote.
  bool exact = false;
  // Tokens per step that the model's own drafting layer, if it has one, guesses ahead for each
  // sequence; 0: none. Never changes a token. Where drafting is measured not to pay, the engine
  // does not draft unless `speculate_always`.
  int64_t speculate = 0;
  bool speculate_always = false;
  // A prompt with at least this many uncached tokens in whole KV blocks is left to another engine,
  // if make_engine() gets a KvSource.
  int64_t min_fetch_tokens = 1;
  // Called on the engine's thread when the listeners have heard all events of a step, or of what
  // happens between two steps.
  std::function<void()> after_events = {};
};

}  // namespace fathom::engine
