#include "serving/load_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "models/deepseek_v3/plan.h"
#include "models/parallel_jobs.h"
#include "serving/cache_format.h"
#include "serving/progress.h"
#include "serving/rank_job.h"
#include "serving/sd_notify.h"

namespace fathom::serving {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

namespace {

// Rows of logits beyond one a sequence, for scoring prompts: enough to keep the head busy.
constexpr int64_t kPromptLogitRows = 64;

// Blocks for the cache: what the user gave, or enough for every running sequence's whole context,
// but no more than a quarter of the free memory.
Result<int64_t> choose_kv_blocks(const StackOptions& options, const dsv3::Config& config,
                                 const dsv3::Share& share, const device::Device& device,
                                 int64_t free_bytes, const models::RunLimits& limits) {
  const int64_t context = limits.max_context;
  const auto block_bytes =
      static_cast<int64_t>(dsv3::kv_block_bytes(config, share, device, limits));
  const int64_t blocks_of_one = (context + limits.kv_block_size - 1) / limits.kv_block_size + 1;
  int64_t budget = options.kv_memory_mib << 20;
  if (budget == 0) {
    const int64_t quarter = free_bytes > 0 ? free_bytes / 4 : int64_t{1} << 30;
    budget = std::min(quarter, block_bytes * blocks_of_one * options.max_running);
  }
  const int64_t blocks = budget / block_bytes;
  if (blocks < 2) {
    return invalid_argument(
        fmt::format("--kv-memory: expected at least {} MiB for this model, got {} MiB",
                    (2 * block_bytes >> 20) + 1, budget >> 20));
  }
  return blocks;
}

// Limits as far as the cache's blocks allow; of several ranks as far as each one's do.
Result<models::RunLimits> fit_to_cache(const StackOptions& options, models::RunLimits limits,
                                       int64_t blocks) {
  limits.num_kv_blocks = blocks;
  const int64_t held = blocks * limits.kv_block_size;
  if (options.max_context > held) {
    return invalid_argument(
        fmt::format("--max-context: expected at most the {} positions that --kv-memory holds, got "
                    "{}",
                    held, options.max_context));
  }
  limits.max_context = std::min(limits.max_context, held);
  return limits;
}

// What a model on this chip can do with less of.
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
    return load_share(limits);
  }

 private:
  Result<LoadedModel> load_whole(models::RunLimits limits) {
    const dsv3::Share share = dsv3::whole_of(input_.config);
    FATHOM_ASSIGN(const int64_t blocks,
                  choose_kv_blocks(options_, input_.config, share, device_, free_bytes_, limits));
    FATHOM_ASSIGN(limits, fit_to_cache(options_, limits, blocks));
    return finish(limits, share, [&](const dsv3::LoadOptions& load) {
      return dsv3::Model::load(input_.source, input_.config, device_, limits, load);
    });
  }

  // What goes wrong on one rank ends all of them in order.
  Result<LoadedModel> load_share(models::RunLimits limits) {
    FATHOM_ASSIGN(const dsv3::ShardPlan plan,
                  plan_job(options_, input_, ranks_, limits, free_bytes_));
    const dsv3::Share share = dsv3::share_of(plan, ranks_.rank());
    const auto own = choose_kv_blocks(options_, input_.config, share, device_, free_bytes_, limits);
    FATHOM_TRY(agree(ranks_, "cache", own ? Status() : own.error()));
    FATHOM_ASSIGN(const int64_t blocks, least_of(ranks_, "kv_blocks", *own));
    FATHOM_ASSIGN(limits, fit_to_cache(options_, limits, blocks));
    if (ranks_.rank() == 0) log_info("{} on {} ranks", plan.layout().text(), ranks_.size());
    auto model = finish(limits, share, [&](const dsv3::LoadOptions& load) {
      return dsv3::Model::load_share(input_.source, plan, ranks_, device_, limits, load);
    });
    FATHOM_TRY(agree(ranks_, "loaded", model ? Status() : model.error()));
    return model;
  }

  template <typename Load>
  Result<LoadedModel> finish(const models::RunLimits& limits, const dsv3::Share& share,
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
                             dsv3::kv_block_bytes(input_.config, share, device_, limits);
    if (first) {
      log_info("{}: {} layers on {}; cache of {} tokens in {} MiB ({}), context {}",
               options_.name(), share.layers.size(), device_.info().name,
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

Result<models::RunLimits> step_limits(const StackOptions& options, const dsv3::Config& config) {
  const int64_t longest = config.max_position_embeddings;
  if (options.max_context > longest) {
    return invalid_argument(fmt::format("--max-context: expected at most the model's {}, got {}",
                                        longest, options.max_context));
  }
  models::RunLimits limits;
  FATHOM_ASSIGN(limits.kv_block_size,
                choose_kv_block_size(options.kv_block_size, {}, options.chip));
  limits.max_context = options.max_context > 0 ? options.max_context : longest;
  limits.max_step_sequences = options.max_running;
  const int64_t drafts = config.num_nextn_predict_layers > 0 ? options.speculate : 0;
  const int64_t decoded_rows = options.max_running * (1 + drafts);
  limits.may_draft = drafts > 0;
  limits.max_step_tokens = 2 * options.prefill_chunk + decoded_rows;
  limits.max_logit_rows = decoded_rows + kPromptLogitRows;
  return limits;
}

Result<LoadedModel> load_model(const StackOptions& options, const ModelInput& input,
                               device::Device& device, comm::Group& ranks, int64_t ranks_here) {
  return ModelLoader(options, input, device, ranks, ranks_here).load();
}

}  // namespace fathom::serving
