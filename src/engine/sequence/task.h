// A sequence and who asked for it.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "engine/sequence/sequence.h"

namespace fathom::engine {

// Every Sequence that a StepLoop's scheduler sees is one.
struct Task : Sequence {
  Listener listener;
  std::chrono::steady_clock::time_point submitted;
  bool begun = false;                   // was in a step
  int64_t cached_tokens = 0;            // of the prompt, found when it began
  std::optional<int64_t> fetched_from;  // first block that another engine was asked for
  std::shared_ptr<KvSink> kv_sink;      // who gets its prompt's blocks, from kv_next on
  int64_t kv_next = 0;
  std::optional<double> queue_seconds;  // known and not yet told
  bool cancel_requested = false;        // of the thread that calls cancel(), under its lock
};

// What a sequence can grow to and where its KV blocks end.
struct TaskLimits {
  int64_t max_context = 0;
  int64_t block_size = 0;
};

// Of a checked request. Reserves all that the sequence can grow to, so that no step allocates. The
// id, and the seed where the request has none, are the caller's to set. Errors: as Guide::of().
Result<std::unique_ptr<Task>> make_task(Request request, Listener listener,
                                        const TaskLimits& limits,
                                        const std::vector<TokenId>& eos_token_ids);

}  // namespace fathom::engine
