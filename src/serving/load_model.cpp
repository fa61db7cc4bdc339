#include "serving/load_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "models/deepseek_v3/forward/memory_plan.h"
#include "models/parallel_jobs.h"
#include "serving/agreement.h"
#include "serving/cache_format.h"
#include "serving/capacity.h"
#include "serving/progress.h"
#include "serving/rank_job.h"
#include "serving/sd_notify.h"

namespace fathom::serving {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

namespace {

// Adds to an error of memory which flags need less of it.
Error with_advice(Error error) {
  if (error.code == ErrorCode::kResourceExhausted) {
    error.message +=
        "; less is needed with --weights int8 or int4, a smaller --kv-memory, --max-running, "
        "--max-context or --prefill-chunk, or more ranks (--parallel)";
  }
  return error;
}

// A rank of several has a file of its own.
Status tell(const models::WeightReport& report, const StackOptions& options, comm::Group& ranks) {
  if (const auto summary = report.summary(); !summary.empty()) log_info("weights: {}", summary);
  if (options.weight_report.empty()) return {};
  fs::path file = options.weight_report;
  if (ranks.size() > 1) file += fmt::format(".rank{}", ranks.rank());
  return report.write(file);
}

// Puts a model, or this rank's part of it, on the chip.
class ModelLoader {
 public:
  ModelLoader(const StackOptions& options, const ModelInput& input, device::Device& device,
              comm::Group& ranks, int64_t ranks_here)
      : options_(options),
        input_(input),
        device_(device),
        ranks_(ranks),
        free_bytes_(static_cast<int64_t>(device.info().memory_free) /
                    std::max<int64_t>(ranks_here, 1)) {}

  Result<LoadedModel> load() {
    FATHOM_ASSIGN(models::RunLimits limits, step_limits(options_, input_.config));
    FATHOM_ASSIGN(limits.kv_dtype,
                  choose_kv_dtype(options_, *input_.source, input_.config, device_));
    FATHOM_ASSIGN(limits.kv_block_size,
                  choose_kv_block_size(options_.kv_block_size, device_.kv_block_sizes(),
                                       device_.backend().name));
    if (ranks_.size() == 1) return load_whole(limits);
    return load_shard(limits);
  }

 private:
  Result<LoadedModel> load_whole(models::RunLimits limits) {
    const dsv3::RankShard shard = dsv3::whole_of(input_.config);
    FATHOM_ASSIGN(const int64_t blocks,
                  choose_kv_blocks(options_, input_.config, shard, device_, free_bytes_, limits));
    FATHOM_ASSIGN(limits, fit_to_cache(options_, limits, blocks));
    return finish(limits, shard, [&](const dsv3::LoadOptions& load) {
      return dsv3::Model::load(input_.source, input_.config, device_, limits, load);
    });
  }

  // An error on one rank ends all ranks in order.
  Result<LoadedModel> load_shard(models::RunLimits limits) {
    FATHOM_ASSIGN(const dsv3::ShardPlan plan,
                  plan_job(options_, input_, ranks_, limits, free_bytes_));
    const dsv3::RankShard shard = dsv3::shard_of(plan, ranks_.rank());
    const auto own = choose_kv_blocks(options_, input_.config, shard, device_, free_bytes_, limits);
    FATHOM_TRY(agree(ranks_, "cache", own ? Status() : own.error()));
    FATHOM_ASSIGN(const int64_t blocks, least_of(ranks_, "kv_blocks", *own));
    FATHOM_ASSIGN(limits, fit_to_cache(options_, limits, blocks));
    if (ranks_.rank() == 0) log_info("{} on {} ranks", plan.layout().text(), ranks_.size());
    auto model = finish(limits, shard, [&](const dsv3::LoadOptions& load) {
      return dsv3::Model::load_shard(input_.source, plan, ranks_, device_, limits, load);
    });
    FATHOM_TRY(agree(ranks_, "loaded", model ? Status() : model.error()));
    return model;
  }

  template <typename Load>
  Result<LoadedModel> finish(const models::RunLimits& limits, const dsv3::RankShard& shard,
                             Load&& load) {
    const bool first = ranks_.rank() == 0;
    ProgressBar bar("loading " + options_.name(), options_.progress && first);
    LoadingStatus status(options_.name());
    models::WeightReport report;
    LoadReport loading;
    const auto begin = std::chrono::steady_clock::now();
    auto model = load({.format = options_.weights,
                       .threads = options_.threads,
                       .report = &report,
                       .progress = [&](size_t done, size_t total) {
                         bar.update(done, total);
                         if (first) status.update(done, total);
                         loading.stored_bytes = total;
                       }});
    bar.finish();
    if (!model) return with_advice(model.error());
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    loading.seconds = spent.count();
    loading.threads = models::thread_count(options_.threads);
    loading.loaded_bytes = (*model)->weight_bytes();
    loading.peak_bytes = peak_memory();
    FATHOM_TRY(tell(report, options_, ranks_));
    const auto cache_bytes = static_cast<size_t>(limits.num_kv_blocks) *
                             dsv3::kv_block_bytes(input_.config, shard, device_, limits);
    if (first) {
      log_info("{}: {} layers on {}; cache of {} tokens in {} MiB ({}), context {}",
               options_.name(), shard.layers.size(), device_.info().name,
               limits.num_kv_blocks * limits.kv_block_size, cache_bytes >> 20,
               cache_format_text(limits, device_), limits.max_context);
    }
    return LoadedModel{std::move(*model), loading};
  }

  const StackOptions& options_;
  const ModelInput& input_;
  device::Device& device_;
  comm::Group& ranks_;
  const int64_t free_bytes_;
};

}  // namespace

Result<LoadedModel> load_model(const StackOptions& options, const ModelInput& input,
                               device::Device& device, comm::Group& ranks, int64_t ranks_here) {
  return ModelLoader(options, input, device, ranks, ranks_here).load();
}

}  // namespace fathom::serving
