#include "cli/serve/dry_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

#include "base/log.h"
#include "models/deepseek_v3/checkpoint_source.h"
#include "models/deepseek_v3/choose_layout.h"
#include "models/deepseek_v3/tensor_list.h"
#include "serving/load_model.h"
#include "serving/model_path.h"

namespace fathom::cli {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

namespace {

Result<dsv3::ShardPlan> make_plan(PlannedModel model, const StackOptions& stack,
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
  FATHOM_ASSIGN(const auto layout, dsv3::Layout::parse(parallel.empty() ? "pp=1" : parallel));
  if (options.ranks > 0) FATHOM_TRY(dsv3::check_ranks(layout, options.ranks));
  return dsv3::ShardPlan::make(model.config, layout, std::move(model.tensors), stack.weights);
}

// 1 with a line on stderr where some rank's memory does not do.
int judge(const LayoutReport& report) {
  int64_t missing = 0;
  for (const auto& print : report.footprints) missing = std::max(missing, print.missing_bytes);
  if (missing == 0) return 0;
  log_error("the model does not fit: a rank is {} short; {} a rank would do", bytes_text(missing),
            bytes_text(report.least_memory));
  return 1;
}

}  // namespace

Result<PlannedModel> planned_model(const fs::path& model) {
  std::error_code ignored;
  const bool is_directory = fs::is_directory(model, ignored);
  PlannedModel made;
  if (model.extension() != ".json") FATHOM_TRY(check_model_directory(model));
  FATHOM_ASSIGN(made.config, dsv3::Config::load(is_directory ? model / "config.json" : model));
  for (const auto& entry : fs::directory_iterator(model, ignored)) {
    if (entry.path().extension() != ".safetensors") continue;
    FATHOM_ASSIGN(const auto source, dsv3::CheckpointSource::open(model, made.config));
    dsv3::drop_absent_mtp(*source, made.config);
    FATHOM_ASSIGN(made.tensors, dsv3::planned_tensors(made.config, *source));
    return made;
  }
  FATHOM_ASSIGN(made.tensors, dsv3::planned_tensors(made.config));
  return made;
}

Result<LayoutReport> plan_layout(const StackOptions& stack, const std::string& parallel,
                                 const DryRunOptions& options) {
  FATHOM_ASSIGN(auto model, planned_model(stack.model));
  FATHOM_ASSIGN(const models::RunLimits limits, step_limits(stack, model.config));
  const bool f32 = stack.kv_cache == KvCacheFormat::kF32;
  const dsv3::RankMemory memory = {.memory = options.device_memory,
                                   .kv_dtype = f32 ? FATHOM_F32 : FATHOM_BF16};
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

int run_dry_run(const StackOptions& stack, const std::string& parallel,
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
