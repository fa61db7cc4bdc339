// Decode steps as graphs: recorded once, for a list of buckets, and run again for every step that
// one of them takes. The host then queues one copy and one graph in place of some hundred
// operators. All that changes from step to step lies in the step's metadata.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "device/device.h"
#include "models/causal_lm.h"
#include "models/deepseek_v3/step/step_metadata.h"

namespace fathom::models::deepseek_v3 {

// Of steps that give each of their sequences one token, in rising order: 1, 2, 4, 8, 16, 32 rows
// and then each further 32 (a block of the cache, where that is shorter), up to as many as a step
// may have sequences; each for every number of positions that StepBucket has. So less is padded
// than the cache's one block for it has room for.
std::vector<StepBucket> decode_buckets(const RunLimits& limits);
// The first of them that takes the step; nullopt for other steps.
std::optional<StepBucket> decode_bucket_of(const StepBatch& batch, const RunLimits& limits);

// What chips take for them at most, about, of a model of so many layers.
int64_t graph_bytes(const RunLimits& limits, int64_t layers);

struct RecordedStep {
  StepBucket bucket;
  device::Graph graph;
};

class StepGraphs {
 public:
  // Of a chip without graphs: no step was recorded.
  StepGraphs() = default;
  // Records what `queue` queues for each bucket, or for as many as the chip has memory for. It is
  // done while a model loads, for it needs memory and time, and a step has neither.
  static Result<StepGraphs> record(device::Device& device, const RunLimits& limits,
                                   const std::function<Status(const StepBucket&)>& queue);

  // Null where the step is to be queued operator by operator.
  const RecordedStep* find(const StepBatch& batch) const;

 private:
  RunLimits limits_;
  std::vector<RecordedStep> steps_;
};

}  // namespace fathom::models::deepseek_v3
