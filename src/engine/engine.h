// The engine: accepts requests as token ids, batches them continuously over one model, and reports
// tokens as they are sampled. Text begins and ends outside (api).
//
// Life of a request here: submit() checks it against the limits and queues it; each step the
// Scheduler admits by free KV blocks, cuts prompts into chunks, and preempts (recompute later)
// when blocks run out; the ModelRunner lays the step out, and the model runs it and draws the
// tokens; events go to the request's listener; a finished or cancelled request's blocks are free
// as soon as no step that was begun may touch them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/kv_handover.h"
#include "models/causal_lm.h"
#include "sampling/rule.h"

namespace fathom::grammar {
class CompiledGrammar;
}

namespace fathom::engine {

using sampling::TokenId;
using sampling::TokenLogprob;
using RequestId = uint64_t;

// The rule's parameters, and what is about the answer as a whole.
struct SamplingParams : sampling::Parameters {
  // Noise is a function of (seed, position in the answer), so a seed repeats its answer whatever
  // else runs. Without one the engine draws a seed.
  std::optional<uint64_t> seed = {};

  // Both count what this request generates: a continuation asks for what remains.
  int64_t max_tokens = 16;  // at most; 0: only score the prompt
  int64_t min_tokens = 0;   // no stop token is sampled before that many
  bool ignore_eos = false;
  std::vector<TokenId> stop_token_ids = {};  // besides the model's end-of-sequence tokens

  // Log-probabilities are of the model's own distribution: before temperature, penalties, bias.
  std::optional<int32_t> logprobs = {};         // of generated tokens, with this many best ones
  std::optional<int32_t> prompt_logprobs = {};  // likewise of prompt tokens but the first
};

// The prompt ends within a thought of the model's, which a token closes.
struct Thought {
  TokenId end = 0;
  std::optional<int64_t> budget = {};  // tokens of thought, from 0; then `end` is forced
};

struct Request {
  std::vector<TokenId> prompt;  // at least one token
  // Tokens of `prompt` from here on were generated earlier (a continuation after a fail-over):
  // they take the absorbed attention path and count as generated for penalties and the noise
  // position. In [1, prompt size]; default: none.
  std::optional<int64_t> generated_from;
  SamplingParams sampling;
  // What the answer must be; behind the thought, where there is one. The answer then stops only
  // where the grammar's text may end: until then no stop token is drawn, but for those that the
  // grammar takes for text, which stop nothing. It stops by itself where nothing can follow.
  std::shared_ptr<const grammar::CompiledGrammar> grammar = {};
  std::optional<Thought> thought = {};
  int32_t priority = 0;  // lower runs first; ties by fair shares, then in order of arrival
  // Whose share of the engine this takes, and of which API request it is a part: the id that
  // submit() gave its first part; 0: its own first. Shares are fair by owner, then by request.
  uint64_t owner = 0;
  RequestId part_of = 0;
  // Of the first part: how many there will be, with itself. It is refused where not all have room,
  // so that a request which is too large begins no work.
  int64_t parts = 1;
  std::string cache_salt;  // requests share cached prefixes only with an equal salt
  // Gets the KV blocks of the prompt's tokens but the last one, from kv_first_block on, as they are
  // computed; the last block may be filled in part. The request ends when all are handed over. With
  // max_tokens 0.
  std::shared_ptr<KvSink> kv_sink = {};
  int64_t kv_first_block = 0;
};

enum class FinishReason {
  kStop,    // a stop token (not part of the output), or the grammar's text is complete
  kLength,  // max_tokens or the model's context was reached
  kCancelled,
  kError,  // the step failed; `error` says why
};

const char* to_string(FinishReason reason);

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;      // of the prompt, found in the prefix cache
  int64_t completion_tokens = 0;  // tokens sent, and the stop token where one ended the answer
};

// News of one request. Prompt log-probabilities come first, in order, possibly in several events;
// then tokens, one an event; the event with `finish` is the last one and comes exactly once (with
// kLength, or where a grammar's text is complete, it usually carries the last token).
struct Event {
  std::vector<TokenLogprob> prompt_logprobs;  // of prompt tokens 1, 2, ... in order
  std::optional<TokenId> token;
  // With logprobs: of `token`; with finish kStop by a stop token there is no token.
  std::optional<TokenLogprob> logprob;
  std::optional<FinishReason> finish;
  std::optional<TokenId> stop_token;  // with kStop: which one
  std::optional<Error> error;         // with kError
  Usage usage;                        // up to here
  // Seconds from submit() to the first step with this request; in its first event after that.
  std::optional<double> queue_seconds;
};

// Called on the engine's thread, one event at a time; must return quickly and not block. What it
// throws for want of memory fails the request.
using Listener = std::function<void(const Event&)>;

struct EngineOptions {
  std::vector<TokenId> eos_token_ids = {};
  int64_t max_running = 64;  // sequences in a step at most
  // Of each owner; submit() answers kResourceExhausted beyond. An API request has no more waiting
  // than places are left free.
  int64_t max_waiting = 2048;
  // Prompt tokens a step at most, shared by all sequences; twice as many while none is answered.
  int64_t prefill_chunk = 512;
  bool prefix_cache = true;  // requests share the KV blocks of equal beginnings
  // Share only blocks that change no bit of an answer: those of given tokens, or of tokens that
  // the other request has generated too. Otherwise a later prompt also finds what an answer wrote.
  bool exact = false;
  // Tokens a step that the model's own drafting layer guesses ahead of each sequence, where it has
  // one; 0: none. Never changes a token. Where measured not to pay, nothing is drafted, unless
  // `speculate_always`.
  int64_t speculate = 0;
  bool speculate_always = false;
  // Prompt tokens in whole KV blocks, not cached, from which on a prompt is left to another engine,
  // where make_engine() is given one.
  int64_t min_fetch_tokens = 1;
};

// Snapshot for metrics and /health. Totals count since the start.
struct EngineStats {
  int64_t running = 0;
  int64_t max_running = 0;  // of all data indices
  int64_t waiting = 0;      // preempted ones too
  int64_t kv_blocks_total = 0;
  int64_t kv_blocks_used = 0;  // by requests; blocks that only the prefix cache knows are not
  uint64_t prompt_tokens = 0;  // of requests that were begun
  uint64_t prefix_cache_queries = 0;  // of these tokens, looked for in the prefix cache
  uint64_t prefix_cache_hits = 0;     // and found
  uint64_t generated_tokens = 0;      // stop tokens too
  uint64_t drafts = 0;                // times that a sequence ran with draft tokens
  uint64_t draft_tokens = 0;          // how many they were
  uint64_t accepted_draft_tokens = 0;
  uint64_t preemptions = 0;
  uint64_t steps = 0;           // that brought somebody something
  uint64_t steps_ahead = 0;     // steps that were begun while the one before them ran
  uint64_t surplus_rows = 0;    // rows of such steps for requests that had ended by then
  uint64_t copied_to_host = 0;  // bytes that the model had the chip copy to the host
  uint64_t finished_stop = 0;
  uint64_t finished_length = 0;
  uint64_t cancelled = 0;
  uint64_t failed = 0;
  std::shared_ptr<const models::ExpertLoads> expert_loads = {};  // null: not counted
  models::ExpertExchanges expert_exchanges = {};
  KvTransferStats kv_fetched;                                    // from other engines
};

class Engine {
 public:
  virtual ~Engine() = default;  // cancels what is left and joins the engine's thread

  // Thread-safe. Errors, all before anything is queued: kInvalidArgument (empty prompt, token out
  // of range, prompt longer than the context or than the cache could ever hold; both counts are
  // named), kResourceExhausted (queue full), kUnavailable (draining).
  virtual Result<RequestId> submit(Request request, Listener listener) = 0;

  // Thread-safe; unknown or finished ids are ignored. The request's work stops within two steps
  // and its listener gets kCancelled unless it finished before.
  virtual void cancel(RequestId id) = 0;
  // As cancel() of all that runs or waits. Thread-safe.
  virtual void cancel_all() = 0;

  // From now on submit() answers kUnavailable; what runs or waits goes on.
  virtual void drain() = 0;
  // Whether nothing runs or waits.
  virtual bool idle() const = 0;

  virtual EngineStats stats() const = 0;
  // Requests of that owner which are not begun: how many of its max_waiting places are taken.
  virtual int64_t waiting(uint64_t owner) const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual models::KvBlockFormat kv_block_format() const = 0;
  virtual int64_t max_context() const = 0;  // prompt and answer; no more than the cache holds
};

// Starts the engine's thread over `model`. kInvalidArgument: options or the model's limits leave
// no room for one sequence. max_running and prefill_chunk are cut to the model's limits. `source`:
// who computes long prompts for it, if anybody does; that needs the prefix cache.
Result<std::unique_ptr<Engine>> make_engine(std::unique_ptr<models::CausalLm> model,
                                            EngineOptions options,
                                            std::unique_ptr<KvSource> source = {});

}  // namespace fathom::engine
