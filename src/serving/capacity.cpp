#include "serving/capacity.h"

#include <fmt/format.h>

#include <algorithm>

#include "models/deepseek_v3/forward/memory_plan.h"
#include "serving/cache_format.h"

namespace fathom::serving {

namespace dsv3 = models::deepseek_v3;

namespace {

// Rows of logits beyond one a sequence, for scoring prompts: enough to keep the head busy.
constexpr int64_t kPromptLogitRows = 64;

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

Result<int64_t> choose_kv_blocks(const StackOptions& options, const dsv3::Config& config,
                                 const dsv3::RankShard& shard, const device::Device& device,
                                 int64_t free_bytes, const models::RunLimits& limits) {
  const int64_t context = limits.max_context;
  const auto block_bytes =
      static_cast<int64_t>(dsv3::kv_block_bytes(config, shard, device, limits));
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

}  // namespace fathom::serving
