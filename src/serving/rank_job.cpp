#include "serving/rank_job.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/log.h"
#include "models/deepseek_v3/parallel_model.h"
#include "models/deepseek_v3/sharding/choose_layout.h"
#include "models/deepseek_v3/sharding/shard_rules.h"
#include "serving/agreement.h"
#include "serving/planned_model.h"

namespace fathom::serving {

namespace dsv3 = models::deepseek_v3;

Result<comm::Launch> read_launch() {
  return comm::read_launch([](const char* name) { return std::getenv(name); });
}

Status check_parallel(const StackOptions& options, const comm::Launch& launch) {
  if (options.parallel.empty() && launch.size > 1) {
    return invalid_argument(
        fmt::format("--parallel: expected how {} ranks divide the model, or auto, got none",
                    launch.size),
        "--parallel");
  }
  if (options.parallel.empty() || options.parallel == "auto") return {};
  FATHOM_ASSIGN(const auto layout, dsv3::ParallelLayout::parse(options.parallel));
  if (options.synthetic.empty()) {
    FATHOM_ASSIGN(const auto model, planned_model(options.model));
    FATHOM_TRY(dsv3::check_cuts(model.config, layout, model.tensors, options.weights));
  }
  auto fits = dsv3::check_ranks(layout, launch.size);
  if (fits || launch.size > 1) return fits;
  return invalid_argument(fmt::format("{} (mpirun -n {} fathom serve ... starts them)",
                                      fits.error().message, layout.ranks()),
                          "--parallel");
}

Result<dsv3::ShardPlan> plan_job(const StackOptions& options, const ModelInput& input,
                                 comm::Group& ranks, const models::RunLimits& limits,
                                 int64_t free_memory) {
  FATHOM_ASSIGN(auto tensors, dsv3::tensor_manifest(input.config, *input.source));
  if (options.parallel != "auto") {
    FATHOM_ASSIGN(const auto layout, dsv3::ParallelLayout::parse(options.parallel));
    return dsv3::ShardPlan::make(input.config, layout, std::move(tensors), options.weights);
  }
  FATHOM_ASSIGN(const int64_t memory, least_of(ranks, "memory", free_memory));
  return dsv3::choose_layout(input.config, tensors, options.weights, ranks.size(), limits,
                             {.memory = memory, .kv_dtype = limits.kv_dtype});
}

// Where it is others who are lost, the watch says so and ends this process.
int follow_rank_0(comm::Group& ranks, dsv3::Model& follower) {
  const auto followed = dsv3::follow(follower, ranks);
  if (followed) return 0;
  log_error("{}", followed.error().message);
  std::this_thread::sleep_for(std::chrono::seconds(1));
  std::_Exit(comm::kExitRankLost);
}

}  // namespace fathom::serving
