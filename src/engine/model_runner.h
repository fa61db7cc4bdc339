// Lays a scheduled step out as the model's StepBatch and runs it. Rows stand chunk by chunk in the
// scheduler's order; all arrays are made once, for the largest step.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "engine/scheduler.h"
#include "models/causal_lm.h"

namespace fathom::engine {

class ModelRunner {
 public:
  explicit ModelRunner(std::unique_ptr<models::CausalLm> model);

  const models::CausalLm& model() const { return *model_; }

  // Logits F32 [L, vocab], L the sum of the chunks' logit_rows, in the order of chunks and rows;
  // valid until the next call.
  Result<std::span<const float>> run(std::span<const Chunk> step);

 private:
  void lay_out(const Chunk& chunk);

  std::unique_ptr<models::CausalLm> model_;
  std::vector<int32_t> tokens_;
  std::vector<int32_t> positions_;
  std::vector<int64_t> slots_;
  std::vector<fathom_sequence> given_;
  std::vector<fathom_sequence> generated_;
  std::vector<int32_t> logit_rows_;
};

}  // namespace fathom::engine
