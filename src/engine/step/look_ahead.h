// For as long as it lives, the tasks of a step that runs are as they will be when it is done, so
// that the next step can be scheduled and laid out as any other. What is not known yet is which
// tokens are drawn: in their places stand what the model takes for them (models::kFirstDrawn). A
// task that ends with its token has nothing left to run.
#pragma once

#include <cstdint>

#include "engine/step/step_in_flight.h"

namespace fathom::engine {

class LookAhead {
 public:
  // No task of the step has drafts.
  explicit LookAhead(const StepInFlight& step) : step_(step) {
    int32_t draw = 0;
    for (const StepInFlight::Part& part : step_.parts) {
      if (part.task == nullptr) continue;
      Task& task = *part.task;
      task.computed += part.rows;
      if (part.draws == 0) continue;
      const int32_t stand_in = models::kFirstDrawn - draw++;
      if (task.generated() + 1 < task.max_new) task.tokens.push_back(stand_in);
    }
  }
  ~LookAhead() {
    for (const StepInFlight::Part& part : step_.parts) {
      if (part.task == nullptr) continue;
      Task& task = *part.task;
      if (task.tokens.back() <= models::kFirstDrawn) task.tokens.pop_back();
      task.computed -= part.rows;
    }
  }
  LookAhead(const LookAhead&) = delete;
  LookAhead& operator=(const LookAhead&) = delete;

 private:
  const StepInFlight& step_;
};

}  // namespace fathom::engine
