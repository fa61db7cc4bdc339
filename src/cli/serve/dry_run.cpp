#include "cli/serve/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "models/deepseek_v3/forward/memory_plan.h"
#include "models/deepseek_v3/sharding/choose_layout.h"
#include "serving/capacity.h"
#include "serving/planned_model.h"

namespace fathom::cli {

namespace dsv3 = models::deepseek_v3;

namespace {

Result<dsv3::ShardPlan> make_plan(serving::PlannedModel model, const serving::StackOptions& stack,
                                  const std::string& parallel, const DryRunOptions& options,
                                  const models::RunLimits& limits, const dsv3::RankMemory& memory) {
  if (parallel == "auto") {
    if (options.ranks == 0 || options.device_memory == 0) {
      return invalid_argument("--parallel auto: expected --ranks and --device-memory with it",
                              "--parallel");
    }
    return dsv3::choose_layout(model.config, model.tensors, stack.weights, options.ranks, limits,
                               memory);
  }
  FATHOM_ASSIGN(const auto layout,
                dsv3::ParallelLayout::parse(parallel.empty() ? "pp=1" : parallel));
  if (options.ranks > 0) FATHOM_TRY(dsv3::check_ranks(layout, options.ranks));
  return dsv3::ShardPlan::make(model.config, layout, std::move(model.tensors), stack.weights);
}

// Returns 1, with a line on stderr, if some rank's memory is too small.
int judge(const LayoutReport& report) {
  int64_t missing = 0;
  for (const auto& print : report.footprints) missing = std::max(missing, print.missing_bytes);
  if (missing == 0) return 0;
  log_error("the model does not fit: a rank is {} short; {} a rank would do", bytes_text(missing),
            bytes_text(report.least_memory));
  return 1;
}

}  // namespace

Result<LayoutReport> plan_layout(const serving::StackOptions& stack, const std::string& parallel,
                                 const DryRunOptions& options) {
  FATHOM_ASSIGN(auto model, serving::planned_model(stack.model));
  FATHOM_ASSIGN(const models::RunLimits limits, serving::step_limits(stack, model.config));
  const bool f32 = stack.kv_cache == serving::KvCacheFormat::kF32;
  const dsv3::RankMemory memory = dsv3::step_memory(model.config, limits, options.device_memory,
                                                    f32 ? FATHOM_F32 : FATHOM_BF16);
  FATHOM_ASSIGN(auto plan, make_plan(std::move(model), stack, parallel, options, limits, memory));
  if (options.rank >= plan.layout().ranks()) {
    return invalid_argument(fmt::format("--rank: expected a rank below {}, got {}",
                                        plan.layout().ranks(), options.rank),
                            "--rank");
  }
  auto footprints = dsv3::footprints_of(plan, limits, memory);
  const int64_t least = dsv3::least_memory(footprints, limits.kv_block_size);
  return LayoutReport{.model = stack.model.string(),
                      .plan = std::move(plan),
                      .weights = stack.weights,
                      .memory = memory,
                      .drafts = limits.may_draft,
                      .step_tokens = limits.max_step_tokens,
                      .footprints = std::move(footprints),
                      .least_memory = least};
}

int run_dry_run(const serving::StackOptions& stack, const std::string& parallel,
                const DryRunOptions& options) {
  const auto report = plan_layout(stack, parallel, options);
  if (!report) {
    log_error("{}", report.error().message);
    return 1;
  }
  const bool one = options.rank >= 0;
  const std::string text = options.json
                               ? (one ? rank_json(*report, options.rank) : to_json(*report))
                               : (one ? rank_text(*report, options.rank) : to_text(*report));
  fmt::print("{}", text);
  std::fflush(stdout);
  return judge(*report);
}

}  // namespace fathom::cli
