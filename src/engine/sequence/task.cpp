#include "engine/sequence/task.h"

#include <algorithm>
#include <utility>

namespace fathom::engine {

Result<std::unique_ptr<Task>> make_task(Request request, const TaskLimits& limits,
                                        const std::vector<TokenId>& eos_token_ids) {
  FATHOM_ASSIGN(auto guide, Guide::of(request));
  auto task = std::make_unique<Task>();
  task->guide = std::move(guide);
  task->submitted = std::chrono::steady_clock::now();
  task->priority = request.priority;
  task->owner = request.owner;
  task->request = request.part_of;
  task->prompt_size = static_cast<int64_t>(request.prompt.size());
  task->given_size = request.generated_from.value_or(task->prompt_size);
  task->max_new = std::min(request.sampling.max_tokens, limits.max_context - task->prompt_size);
  task->seed = request.sampling.seed.value_or(0);
  if (!request.sampling.ignore_eos) task->stop_tokens = eos_token_ids;
  task->stop_tokens.insert(task->stop_tokens.end(), request.sampling.stop_token_ids.begin(),
                           request.sampling.stop_token_ids.end());
  task->sampling = std::move(request.sampling);
  task->cache_salt = std::move(request.cache_salt);
  task->exports_kv = request.kv_sink != nullptr;
  task->kv_sink = std::move(request.kv_sink);
  task->kv_next = request.kv_first_block;

  const int64_t longest = task->prompt_size + task->max_new;
  task->tokens = std::move(request.prompt);
  task->tokens.reserve(static_cast<size_t>(longest));
  const auto blocks = static_cast<size_t>((longest + limits.block_size - 1) / limits.block_size);
  task->blocks.reserve(blocks);
  task->block_hashes.reserve(blocks);
  return task;
}

}  // namespace fathom::engine
