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
#include "engine/model_runner.h"
#include "engine/sampler.h"
#include "engine/task.h"

namespace fathom::engine {

class StepLoop {
 public:
  // Hands over a task that is done: nothing counts it any more, and its listener is about to hear
  // the last event.
  using Retire = std::function<std::unique_ptr<Task>(Task&)>;

  StepLoop(std::unique_ptr<models::CausalLm> model, const EngineOptions& options, Retire retire);

  const models::CausalLm& model() const { return runner_.model(); }

  // The task must stay where it is until it is retired.
  void add(Task& task) { scheduler_.add(task); }
  void cancel(Task& task) { finish(task, FinishReason::kCancelled); }

  bool has_work() const { return scheduler_.has_work(); }
  // One step, in two halves: schedule() decides it, run() does it. Needs work.
  void schedule();
  void run();

  // All but `waiting`.
  EngineStats stats() const;

 private:
  // Each says whether the task goes on.
  bool advance(Task& task, int64_t rows, std::span<const float> logits);
  bool generate(Task& task, std::span<const float> logits);
  bool sample_next(Task& task, std::span<const float> logits);

  bool score_prompt(Task& task, int64_t end, std::span<const float>& logits);
  void send(Task& task);
  bool finish(Task& task, FinishReason reason, std::optional<Error> error = {});

  const bool prefix_cache_;
  DataIndices scheduler_;
  ModelRunner runner_;
  SamplerScratch scratch_;
  Drafter drafter_;
  Retire retire_;
  std::span<const Chunk> chunks_;  // of the step that schedule() decided
  EngineStats counts_;             // the totals; stats() adds what others know
  Event event_;                    // reused, so that sending a token allocates nothing
};

}  // namespace fathom::engine
