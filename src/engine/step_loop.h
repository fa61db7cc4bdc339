// What the engine does on its thread, without the thread: schedules a step, runs the model, takes
// the results in and tells the listeners.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "engine/data_indices.h"
#include "engine/drafter.h"
#include "engine/mask_worker.h"
#include "engine/model_runner.h"
#include "engine/remote_prefix.h"
#include "engine/task.h"
#include "sampling/sampler.h"

namespace fathom::engine {

class StepLoop {
 public:
  // Hands over a task that is done: nothing counts it any more, and its listener is about to hear
  // the last event.
  using Retire = std::function<std::unique_ptr<Task>(Task&)>;

  // `source`: null, or who computes prompts; `wake` is then called when hand_over() has news.
  StepLoop(std::unique_ptr<models::CausalLm> model, const EngineOptions& options, Retire retire,
           std::unique_ptr<KvSource> source, std::function<void()> wake);

  const models::CausalLm& model() const { return runner_.model(); }

  // The task must stay where it is until it is retired.
  void add(Task& task);
  void cancel(Task& task) { finish(task, FinishReason::kCancelled); }

  // Takes in KV blocks that came from another engine, and hands over those that another one waits
  // for. Between steps.
  void hand_over();
  // Whether blocks wait for room where they are to go: hand_over() is to be called soon.
  bool hands_over() const { return !lingering_.empty(); }

  bool has_work() const { return scheduler_.has_work(); }
  // One step, in two halves: schedule() decides it, run() does it. Needs work.
  void schedule();
  void run();
  // Tasks that schedule() began, which were in no step before.
  std::span<Task* const> begun() const { return begun_; }

  // All but `waiting` and `kv_fetched`.
  EngineStats stats() const;
  KvTransferStats kv_fetched() const;  // thread-safe

 private:
  // Each says whether the task goes on. try_advance() fails a task whose results there is no memory
  // for.
  bool try_advance(Task& task, int64_t rows, std::span<const float> logits);
  bool advance(Task& task, int64_t rows, std::span<const float> logits);
  bool generate(Task& task, std::span<const float> logits);
  bool sample_next(Task& task, std::span<const float> logits);

  void prepare_masks();
  bool score_prompt(Task& task, int64_t end, std::span<const float>& logits);
  void hand_over_step();
  Result<bool> hand_over_blocks(Task& task);
  void abandon_lingering();
  void leave_queues(Task& task);
  void send(Task& task);
  bool finish(Task& task, FinishReason reason, std::optional<Error> error = {});

  const bool prefix_cache_;
  DataIndices scheduler_;
  ModelRunner runner_;
  sampling::SamplerScratch scratch_;
  MaskWorker masks_;
  Drafter drafter_;
  Retire retire_;
  std::unique_ptr<RemotePrefix> remote_;  // null: all prompts are computed here
  std::vector<Task*> begun_;              // by the step
  std::vector<Task*> handing_over_;       // of the step: blocks of theirs go to another engine
  std::vector<Task*> lingering_;          // computed, and not handed over yet
  std::span<const Chunk> chunks_;         // of the step that schedule() decided
  EngineStats counts_;                    // the totals; stats() adds what others know
  Event event_;                           // reused, so that sending a token allocates nothing
};

}  // namespace fathom::engine
