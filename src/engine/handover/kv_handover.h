// Tasks whose KV blocks another engine waits for (Request::kv_sink): hands blocks over as they are
// computed and as their sink has room. A task whose blocks are all computed leaves the scheduler
// and keeps them here until the sink has taken the last one.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "engine/request.h"
#include "engine/schedule/replica_schedulers.h"
#include "engine/sequence/task.h"
#include "models/causal_lm.h"

namespace fathom::engine {

// Called between steps, on the engine's thread.
class KvHandover {
 public:
  // Ends a task; it calls forget().
  using Finish = std::function<void(Task&, FinishReason, std::optional<Error>)>;

  KvHandover(ReplicaSchedulers& schedulers, models::CausalLm& model, Finish finish);

  // A step computed rows of the task, whose sequence exports its blocks; ...
  void note_computed(Task& task) { computed_.push_back(&task); }
  // ... once the drafting layer has seen them, too, the blocks can go.
  void hand_over_computed();

  // Whether computed tasks wait for room in their sinks.
  bool has_waiting() const { return !waiting_.empty(); }
  // Hands over what the sinks of waiting tasks have room for by now.
  void retry_waiting();
  // Memory is short: fails the waiting tasks; their peers recompute.
  void abandon_waiting();
  // The task ends. Whether it waited here; its blocks are free then.
  bool forget(Task& task);

 private:
  Result<bool> hand_over_blocks(Task& task);

  ReplicaSchedulers& schedulers_;
  models::CausalLm& model_;
  const Finish finish_;
  std::vector<Task*> computed_;  // in the last step
  std::vector<Task*> waiting_;
};

}  // namespace fathom::engine
