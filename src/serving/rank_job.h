// This process as a rank of a job: which ranks there are, and which layout they have
// (docs/parallel.md).
#pragma once

#include <memory>

#include "base/result.h"
#include "comm/launch.h"
#include "comm/world.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/sharding/shard.h"
#include "serving/model_input.h"
#include "serving/options.h"

namespace fathom::serving {

// By the launcher's variables in the environment.
Result<comm::Launch> read_launch();

// Whether the launcher's ranks are those of options.parallel, and the layout divides the model:
// before anything is loaded.
Status check_parallel(const StackOptions& options, const comm::Launch& launch);

// The layout's plan; of "auto" what suits the memory of the rank that has least. Collective.
Result<models::deepseek_v3::ShardPlan> plan_job(const StackOptions& options,
                                                const ModelInput& input, comm::Group& ranks,
                                                const models::RunLimits& limits,
                                                int64_t free_memory);

// What a rank with a follower does until rank 0 says that this is the end. Returns the process's
// exit code; where a rank is lost, itself for its own device's sake included, it does not return.
int follow_rank_0(comm::Group& ranks, models::deepseek_v3::Model& follower);

}  // namespace fathom::serving
