// The engine: accepts requests as token ids, batches them continuously over one model and reports
// tokens as they are drawn. Text begins and ends outside (api).
#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "engine/kv_transfer.h"
#include "engine/options.h"
#include "engine/request.h"
#include "engine/stats.h"
#include "models/causal_lm.h"

namespace fathom::engine {

// Every method is thread-safe.
class Engine {
 public:
  virtual ~Engine() = default;  // cancels what is left; no listener is called afterwards

  // Waits for nothing. The listener hears whether the request is accepted, maybe before this
  // returns; everything else it hears on a thread of the engine's own. Reasons to refuse:
  // kInvalidArgument (empty prompt, token out of range, prompt longer than the context or than the
  // cache could ever hold; both counts are named), kResourceExhausted (queue full), kUnavailable
  // (draining).
  virtual RequestId submit(Request request, Listener listener) = 0;

  // Unknown or finished ids are ignored. The request's work stops within two steps, and its
  // listener gets kCancelled unless it finished before.
  virtual void cancel(RequestId id) = 0;
  virtual void cancel_all() = 0;  // running and waiting

  // submit() answers kUnavailable from now on; requests that run or wait go on.
  virtual void drain() = 0;
  virtual bool idle() const = 0;  // nothing runs or waits

  virtual EngineStats stats() const = 0;
  // How many of its max_waiting places the owner's requests take: those that have not begun.
  virtual int64_t waiting(uint64_t owner) const = 0;
  virtual int64_t vocab_size() const = 0;
  virtual models::KvBlockFormat kv_block_format() const = 0;
  virtual int64_t max_context() const = 0;  // prompt and answer; no more than the cache holds
};

// Starts an engine in this process, with a thread of its own, over `model`. max_running and
// prefill_chunk are cut to the model's limits. `source` computes long prompts elsewhere, or is
// null; it needs the prefix cache. kInvalidArgument: options or the model's limits leave no room
// for one sequence.
Result<std::unique_ptr<Engine>> make_engine(std::unique_ptr<models::CausalLm> model,
                                            EngineOptions options,
                                            std::unique_ptr<KvSource> source = {});

}  // namespace fathom::engine
