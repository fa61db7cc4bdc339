#include "serving/stack.h"

#include <algorithm>
#include <thread>

#include "models/deepseek_v3/parallel_model.h"
#include "serving/agreement.h"
#include "serving/chips.h"
#include "serving/load_model.h"
#include "serving/model_input.h"
#include "serving/model_texts.h"
#include "serving/rank_job.h"
#include "serving/text_assets.h"

namespace fathom::serving {

namespace dsv3 = models::deepseek_v3;

namespace {

Result<ModelInput> open_input(const StackOptions& options) {
  if (!options.synthetic.empty()) return open_synthetic(options.synthetic);
  return open_directory(options.model);
}

// Over one rank, or all.
Result<std::unique_ptr<engine::Engine>> start_engine(const StackOptions& options, Stack& stack,
                                                     std::unique_ptr<dsv3::Model> own) {
  comm::Group& ranks = stack.membership.ranks();
  std::unique_ptr<models::CausalLm> model;
  if (ranks.size() > 1) {
    model = std::make_unique<dsv3::ParallelModel>(std::move(own), ranks, options.balance_steps);
  } else {
    model = std::move(own);
  }
  FATHOM_ASSIGN(auto source, make_source(options.disaggregation, stack.model_hash, *model));
  // What is handed over was computed from prompts alone.
  const bool exact = options.exact || options.disaggregation.role == Role::kPrefill;
  return engine::make_engine(std::move(model),
                             {.eos_token_ids = stack.config.eos_token_ids,
                              .max_running = options.max_running,
                              .max_waiting = options.max_waiting,
                              .prefill_chunk = options.prefill_chunk,
                              .prefix_cache = options.prefix_cache,
                              .exact = exact,
                              .speculate = options.speculate,
                              .min_fetch_tokens = options.disaggregation.min_tokens},
                             std::move(source));
}

}  // namespace

Result<Stack> build_stack(const StackOptions& given) {
  StackOptions options = given;
  FATHOM_ASSIGN(const comm::Launch launch, read_launch());
  FATHOM_TRY(check_parallel(options, launch));
  if (options.threads == 0 && launch.local_size > 1) {
    const auto cores = static_cast<int>(std::thread::hardware_concurrency());
    options.threads = std::max(1, cores / launch.local_size);
  }
  auto registry = find_chips();
  FATHOM_ASSIGN(ModelInput input, open_input(options));
  dsv3::Config& config = input.config;
  FATHOM_ASSIGN(TextAssets texts, load_texts(options, input));
  FATHOM_TRY(add_end_tokens(input.texts, texts.tokenizer, config));
  FATHOM_ASSIGN(auto device, open_device(*registry, options, launch));
  const auto identity = launch.size > 1 ? identity_of(options, input, *device) : comm::Identity{};
  FATHOM_ASSIGN(auto world, comm::World::join(identity, {}));
  Membership membership(std::move(world));
  FATHOM_ASSIGN(auto loaded,
                load_model(options, input, *device, membership.ranks(), launch.local_size));
  Stack stack{.registry = std::move(registry),
              .device = std::move(device),
              .membership = std::move(membership),
              .config = std::move(config),
              .tokenizer = std::move(texts.tokenizer),
              .chat_template = std::move(texts.chat_template),
              .add_bos_token = texts.add_bos_token,
              .cost = std::nullopt,
              .loading = loaded.loading};
  if (launch.size == 1) stack.cost = loaded.model->cost();
  if (launch.rank > 0) {
    stack.follower = std::move(loaded.model);
    return stack;
  }
  if (options.disaggregation.role != Role::kBoth) stack.model_hash = model_hash(options, input);
  FATHOM_ASSIGN(stack.engine, start_engine(options, stack, std::move(loaded.model)));
  return stack;
}

}  // namespace fathom::serving
