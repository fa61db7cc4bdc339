// What a client of the engine says and hears: a request in token ids, and the events of its answer.
//
// All of it is plain data that could be sent to an engine in another process, but for two fields
// of Request that are marked "this process".
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "sampling/rule.h"

namespace fathom::grammar {
class CompiledGrammar;
}

namespace fathom::engine {

class KvSink;  // kv_transfer.h

using sampling::TokenId;
using sampling::TokenLogprob;
using RequestId = uint64_t;

// How tokens are drawn, and where the answer ends.
struct SamplingParams : sampling::Parameters {
  // Noise is a function of (seed, position in the answer), so a seed repeats its answer whatever
  // else runs. Without one the engine draws a seed.
  std::optional<uint64_t> seed = {};

  // Both count the tokens this request generates; a continuation asks for what remains.
  int64_t max_tokens = 16;  // upper bound; 0: only score the prompt
  int64_t min_tokens = 0;   // no stop token is drawn before this many
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids = {};  // besides the model's end-of-sequence tokens

  // Log-probabilities are of the model's own distribution: before temperature, penalties, bias.
  std::optional<int32_t> logprobs = {};         // of generated tokens, with this many best ones
  std::optional<int32_t> prompt_logprobs = {};  // likewise of every prompt token but the first
};

// The prompt ends inside a thought of the model's, which the token `end` closes.
struct Thought {
  TokenId end = 0;
  std::optional<int64_t> budget = {};  // tokens of thought, 0 or more; then `end` is forced
};

struct Request {
  std::vector<TokenId> prompt;  // at least one token
  // Prompt tokens from this index on were generated earlier (a continuation after a fail-over):
  // they take the absorbed attention path and count as generated for penalties and the noise
  // position. In [1, prompt size]; default: none.
  std::optional<int64_t> generated_from;
  SamplingParams sampling;
  // This process. The language of the answer, after the thought if there is one. Until the text is
  // complete, no stop token is drawn except those the grammar uses as text, which do not stop the
  // answer. The answer ends by itself where no token can follow.
  std::shared_ptr<const grammar::CompiledGrammar> grammar = {};
  std::optional<Thought> thought = {};
  int32_t priority = 0;  // lower runs first; ties by fair share, then by arrival
  // Shares of the engine are fair by owner, then by API request. `part_of` is the id that submit()
  // returned for the API request's first part; 0: this is the first part.
  uint64_t owner = 0;
  RequestId part_of = 0;
  // On the first part: how many parts there will be, including this one. The first part is refused
  // if they do not all fit the queue, so a request that is too large starts no work.
  int64_t parts = 1;
  std::string cache_salt;  // prefixes are shared only between requests with the same salt
  // This process. Receives the KV blocks of all prompt tokens but the last, from kv_first_block on,
  // as they are computed; the last block may be partly filled. The request finishes when all blocks
  // are handed over. Needs max_tokens 0.
  std::shared_ptr<KvSink> kv_sink = {};
  int64_t kv_first_block = 0;
};

enum class FinishReason {
  kStop,    // a stop token (not part of the output), or the grammar's text is complete
  kLength,  // max_tokens or the model's context is reached
  kCancelled,
  kError,    // the step failed; `error` says why
  kRefused,  // before any work; `error` says why
};

const char* to_string(FinishReason reason);

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;      // of the prompt, found in the prefix cache
  int64_t completion_tokens = 0;  // tokens sent, and the stop token if one ended the answer
};

// News of one request. The first event says that it is accepted, or refuses it and is the last.
// Prompt log-probabilities come first, in order, possibly in several events;
// then tokens, one per event. The event with `finish` is the last one and comes exactly once (with
// kLength, or when a grammar's text is complete, it usually carries the last token).
struct Event {
  bool accepted = false;                      // then nothing else is told
  std::vector<TokenLogprob> prompt_logprobs;  // of prompt tokens 1, 2, ... in order
  std::optional<TokenId> token;
  std::optional<TokenLogprob> logprob;  // of `token`, if logprobs are asked for
  std::optional<FinishReason> finish;
  std::optional<TokenId> stop_token;  // with kStop by a stop token, which `token` is not
  std::optional<Error> error;         // with kError and kRefused
  Usage usage;                        // up to here
  // Seconds from submit() to the first step with this request; in the first event after that step.
  std::optional<double> queue_seconds;
};

// Called with one event at a time; must return quickly and must not block. If it throws
// std::bad_alloc, the request fails.
using Listener = std::function<void(const Event&)>;

}  // namespace fathom::engine
