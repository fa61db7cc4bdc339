// The engine's work without its thread: schedules steps, has the model run them, takes the results
// in and calls the listeners.
//
// If the chip runs asynchronously, a step begins before the previous one is done, so that the chip
// never waits for the host:
//
//   host   begin n+1 | results of n | draws of n+1 | begin n+2 | results of n+1 | ...
//   chip   step n    | step n+1 ..................| step n+2 ....................
//
// The tokens drawn in n become known while n+1 runs, in time for the masks and penalties of n+1's
// draws. The rows in n+1 of a sequence that ended in n are surplus.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "engine/handover/kv_handover.h"
#include "engine/handover/remote_prefix.h"
#include "engine/kv_transfer.h"
#include "engine/options.h"
#include "engine/schedule/replica_schedulers.h"
#include "engine/sequence/task.h"
#include "engine/speculate/drafter.h"
#include "engine/stats.h"
#include "engine/step/mask_worker.h"
#include "engine/step/model_runner.h"
#include "engine/step/step_in_flight.h"
#include "sampling/sampler.h"

namespace fathom::engine {

class StepLoop {
 public:
  struct Calls {
    // These tasks are about to run their first step.
    std::function<void(std::span<Task* const>)> begin;
    // Gives up the ownership of a finished task. Its counts are already updated; its listener is
    // about to get the last event.
    std::function<std::unique_ptr<Task>(Task&)> retire;
    // transfer_blocks() has something to do; called from any thread.
    std::function<void()> wake;
  };

  // `source`: other engines that compute prompts, or null.
  StepLoop(std::unique_ptr<models::CausalLm> model, const EngineOptions& options, Calls calls,
           std::unique_ptr<KvSource> source);

  const models::CausalLm& model() const { return runner_.model(); }

  // The task's address must not change until it is retired.
  void add(Task& task);
  void cancel(Task& task) { finish(task, FinishReason::kCancelled); }

  // Takes in KV blocks that came from other engines and hands over those that others wait for.
  // While a step is in flight it only notes that it is due.
  void transfer_blocks();
  // Whether computed blocks wait for room in their sinks: transfer_blocks() is to be called soon.
  bool waits_for_sinks() const { return handover_.has_waiting(); }

  bool has_work() const { return has_steps() || transfer_is_due_; }
  bool has_steps() const { return steps_[0].in_flight || schedulers_.has_work(); }
  // Needs has_steps(). Finishes one step and may begin the next one.
  void run();

  // All statistics but `waiting` and `kv_fetched`.
  EngineStats stats() const;
  KvTransferStats kv_fetched() const;  // thread-safe

 private:
  std::span<const Chunk> schedule(StepInFlight& step);
  Status begin(StepInFlight& step, std::span<const Chunk> chunks);
  Status begin_ahead();
  bool may_begin_ahead() const;
  Status draw(StepInFlight& step);
  void ask(StepInFlight& step, StepInFlight::Part& part, int64_t logit_row);
  Result<models::StepResult> finish_step();
  void retire_step();
  void note_begun(std::span<const Chunk> chunks);
  void prepare_masks(const StepInFlight& step);

  void take_in(const models::StepResult& results);
  void fail_all(const Error& error);
  // Each returns whether the task goes on. `results` are those of the task's rows. try_advance()
  // fails the task if memory for its results runs out.
  bool try_advance(Task& task, int64_t rows, models::StepResult results);
  bool advance(Task& task, int64_t rows, models::StepResult results);
  bool generate(Task& task, models::StepResult results);
  bool take_next(Task& task, models::StepResult& results);
  bool score_prompt(Task& task, int64_t end, std::span<const float>& logits);
  bool fail_for_memory(Task& task);

  bool moves_blocks() const;
  void leave_steps(Task& task);
  void leave_queues(Task& task);
  void send(Task& task);
  bool finish(Task& task, FinishReason reason, std::optional<Error> error = {});

  const bool prefix_cache_;
  ReplicaSchedulers schedulers_;
  ModelRunner runner_;
  sampling::SamplerScratch scratch_;
  MaskWorker masks_;
  Drafter drafter_;
  Calls calls_;
  std::unique_ptr<RemotePrefix> remote_;  // null: this engine computes all prompts
  std::array<StepInFlight, 2> steps_;     // the older step first
  std::vector<Task*> begun_;              // in the step scheduled last, for the first time
  KvHandover handover_;
  bool transfer_is_due_ = false;
  EngineStats counts_;  // totals; stats() adds the counts of other objects
  Event event_;         // reused, so that sending a token allocates nothing
};

}  // namespace fathom::engine
