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
      Sequence& sequence = part.task->sequence;
      sequence.computed += part.rows;
      if (part.draws == 0) continue;
      const int32_t stand_in = models::kFirstDrawn - draw++;
      if (sequence.generated() + 1 < sequence.max_new) sequence.tokens.push_back(stand_in);
    }
  }
  ~LookAhead() {
    for (const StepInFlight::Part& part : step_.parts) {
      if (part.task == nullptr) continue;
      Sequence& sequence = part.task->sequence;
      if (sequence.tokens.back() <= models::kFirstDrawn) sequence.tokens.pop_back();
      sequence.computed -= part.rows;
    }
  }
  LookAhead(const LookAhead&) = delete;
  LookAhead& operator=(const LookAhead&) = delete;

 private:
  const StepInFlight& step_;
};

}  // namespace fathom::engine
