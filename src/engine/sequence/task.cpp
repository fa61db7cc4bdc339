#include "engine/sequence/task.h"

#include <algorithm>
#include <utility>

namespace fathom::engine {

Result<std::unique_ptr<Task>> make_task(Request request, const TaskLimits& limits,
                                        const std::vector<TokenId>& eos_token_ids) {
  FATHOM_ASSIGN(auto guide, Guide::of(request));
  auto task = std::make_unique<Task>();
  Sequence& sequence = task->sequence;
  sequence.guide = std::move(guide);
  task->submitted = std::chrono::steady_clock::now();
  sequence.priority = request.priority;
  sequence.owner = request.owner;
  sequence.request = request.part_of;
  sequence.prompt_size = static_cast<int64_t>(request.prompt.size());
  sequence.given_size = request.generated_from.value_or(sequence.prompt_size);
  sequence.max_new =
      std::min(request.sampling.max_tokens, limits.max_context - sequence.prompt_size);
  sequence.seed = request.sampling.seed.value_or(0);
  if (!request.sampling.ignore_eos) sequence.stop_tokens = eos_token_ids;
  sequence.stop_tokens.insert(sequence.stop_tokens.end(), request.sampling.stop_token_ids.begin(),
                              request.sampling.stop_token_ids.end());
  sequence.sampling = std::move(request.sampling);
  sequence.cache_salt = std::move(request.cache_salt);
  sequence.exports_kv = request.kv_sink != nullptr;
  task->kv_sink = std::move(request.kv_sink);
  task->kv_next = request.kv_first_block;

  const int64_t longest = sequence.prompt_size + sequence.max_new;
  sequence.tokens = std::move(request.prompt);
  sequence.tokens.reserve(static_cast<size_t>(longest));
  const auto blocks = static_cast<size_t>((longest + limits.block_size - 1) / limits.block_size);
  sequence.blocks.reserve(blocks);
  sequence.block_hashes.reserve(blocks);
  return task;
}

}  // namespace fathom::engine
