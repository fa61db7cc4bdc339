// While a LookAhead lives, the tasks of a running step look as they will after it, so that the next
// step can be scheduled and laid out as any other. The tokens that the step draws are not known
// yet: placeholders (models::kFirstDrawn), which the model resolves, stand for them. A task that
// ends with its next token has nothing left to run.
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
