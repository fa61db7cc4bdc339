// A sequence together with the request's listener and bookkeeping.
#pragma once

#include <chrono>
#include <memory>
#include <optional>

#include "engine/sequence/sequence.h"

namespace fathom::engine {

// The sequence points back at its task, so a task is neither copied nor moved.
struct Task {
  Task() { sequence.task = this; }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;

  Sequence sequence;
  Listener listener;
  std::chrono::steady_clock::time_point submitted;
  bool begun = false;                   // has been in a step
  int64_t cached_tokens = 0;            // of the prompt, found in the cache at the first step
  std::optional<int64_t> fetched_from;  // first block requested from another engine
  std::shared_ptr<KvSink> kv_sink;      // receives the prompt's blocks, from kv_next on
  int64_t kv_next = 0;
  std::optional<double> queue_seconds;  // known and not yet reported
  // Written under the engine's lock by the threads that submit and cancel.
  bool cancel_requested = false;
  bool arrived = false;  // its listener knows that it is accepted; the engine's thread may have it
};

// How far a sequence can grow.
struct TaskLimits {
  int64_t max_context = 0;
  int64_t block_size = 0;
};

// Makes a task of a checked request. Reserves all the memory that the sequence can grow to, so that
// no step allocates. The caller sets the id, the listener, and the seed if the request has none.
// Errors: as Guide::of().
Result<std::unique_ptr<Task>> make_task(Request request, const TaskLimits& limits,
                                        const std::vector<TokenId>& eos_token_ids);

}  // namespace fathom::engine
