#include "serving/stack.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <sstream>
#include <thread>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/sim/sim_backend.h"
#include "base/log.h"
#include "base/plug_in.h"
#include "models/deepseek_v3/parallel_model.h"
#include "ops/ops.h"
#include "serving/load_model.h"
#include "serving/model_input.h"
#include "serving/model_texts.h"
#include "serving/rank_job.h"
#include "serving/synthetic_tokenizer.h"

namespace fathom::cli {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

namespace {

Result<std::optional<jinja::ChatTemplate>> load_template(const StackOptions& options) {
  auto source = jinja::ChatTemplate::load_source(options.model);
  if (!options.chat_template.empty()) {
    std::ifstream file(options.chat_template, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
      return Error{ErrorCode::kNotFound, fmt::format("--chat-template: {} cannot be read",
                                                     options.chat_template.string())};
    }
    // A model without a template of its own still has its two tokens.
    jinja::ChatTemplateSource own = source ? *source : jinja::ChatTemplateSource{};
    auto parsed = jinja::ChatTemplate::parse(text.str(), own.bos_token, own.eos_token);
    if (!parsed) return parsed.error().with_context(options.chat_template.string());
    return std::optional(std::move(*parsed));
  }
  if (!source && source.error().code == ErrorCode::kNotFound) {
    log_warning("{}; chat requests will be refused (--chat-template gives one)",
                source.error().message);
    return std::optional<jinja::ChatTemplate>();
  }
  if (!source) return source.error();
  auto parsed = jinja::ChatTemplate::parse(source->text, source->bos_token, source->eos_token);
  if (!parsed) {
    std::error_code ignored;
    const bool own_file = fs::exists(options.model / "chat_template.jinja", ignored);
    const fs::path file =
        options.model / (own_file ? "chat_template.jinja" : "tokenizer_config.json");
    return parsed.error().with_context(file.string());
  }
  return std::optional(std::move(*parsed));
}

Result<std::unique_ptr<device::Device>> open_device(const device::Registry& registry,
                                                    const StackOptions& options,
                                                    const comm::Launch& launch) {
  FATHOM_ASSIGN(const fathom_backend* backend, registry.find(options.chip));
  const int ranks_here = launch.local_size > 0 ? launch.local_size : launch.size;
  FATHOM_ASSIGN(auto device, device::Device::open(
                                 *backend, {.index = 0,
                                            .threads = options.threads,
                                            .kernels = options.kernels,
                                            .pin_threads = options.pin,
                                            .share_index = ranks_here == 1 ? 0 : launch.local_rank,
                                            .share_count = ranks_here}));
  const auto missing = ops::missing_operators(*device);
  if (!missing.empty()) {
    return Error{ErrorCode::kUnsupported, fmt::format("chip {}: has no kernel for {}", options.chip,
                                                      fmt::join(missing, ", "))};
  }
  if (device->ignores_weights()) {
    log_warning("chip {} reads no weights: its answers are made up", options.chip);
  }
  return device;
}

}  // namespace

std::unique_ptr<device::Registry> find_chips() {
  auto registry = std::make_unique<device::Registry>();
  for (const auto entry :
       {fathom_cpu_backend_entry, fathom_cpu_discrete_backend_entry, fathom_sim_backend_entry}) {
    const auto added = registry->add(entry);
    FATHOM_CHECK(added.ok(), "a built-in backend serves this contract");
  }
  for (const auto& directory : plug_in_directories()) {
    for (const auto& error : registry->load_all(directory)) log_warning("{}", error.message);
  }
  return registry;
}

namespace {

// The parts of a model that has text.
struct Texts {
  tokenizer::Tokenizer tokenizer;
  std::optional<jinja::ChatTemplate> chat_template;
  bool add_bos_token = false;
};

Result<Texts> load_texts(const StackOptions& options, const ModelInput& input) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::load(options.model / "tokenizer.json",
                                           options.model / "tokenizer_config.json"));
  FATHOM_ASSIGN(auto chat_template, load_template(options));
  FATHOM_ASSIGN(const bool add_bos_token, adds_bos_token(input.texts));
  return Texts{std::move(tokenizer), std::move(chat_template), add_bos_token};
}

Result<Texts> synthetic_texts(const ModelInput& input) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::parse(input.texts.at("tokenizer.json"),
                                            input.texts.at("tokenizer_config.json")));
  FATHOM_ASSIGN(auto chat_template,
                jinja::ChatTemplate::parse(kSyntheticChatTemplate, kSyntheticBos, kSyntheticEos));
  return Texts{std::move(tokenizer), std::move(chat_template), false};
}

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
  FATHOM_ASSIGN(auto source, make_source(options.apart, stack.model_hash, *model));
  // What is handed over was computed from prompts alone.
  const bool exact = options.exact || options.apart.role == Role::kPrefill;
  return engine::make_engine(std::move(model),
                             {.eos_token_ids = stack.config.eos_token_ids,
                              .max_running = options.max_running,
                              .max_waiting = options.max_waiting,
                              .prefill_chunk = options.prefill_chunk,
                              .prefix_cache = options.prefix_cache,
                              .exact = exact,
                              .speculate = options.speculate,
                              .min_fetch_tokens = options.apart.min_tokens},
                             std::move(source));
}

}  // namespace

Membership::~Membership() {
  if (!world_) return;
  if (const auto left = world_->leave(); !left) log_error("{}", left.error().message);
}

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
  FATHOM_ASSIGN(Texts texts,
                options.synthetic.empty() ? load_texts(options, input) : synthetic_texts(input));
  if (texts.tokenizer.vocab_size() > config.vocab_size) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected at most the model's {} tokens, got {}",
                             (options.model / "tokenizer.json").string(), config.vocab_size,
                             texts.tokenizer.vocab_size())};
  }
  FATHOM_TRY(add_end_tokens(input.texts, texts.tokenizer, config));
  FATHOM_ASSIGN(auto device, open_device(*registry, options, launch));
  const auto identity = launch.size > 1 ? identity_of(options, input, *device) : comm::Identity{};
  FATHOM_ASSIGN(auto world, comm::World::join(identity, {}));
  Membership membership(std::move(world));
  FATHOM_ASSIGN(auto loaded,
                load_model(options, input, *device, membership.ranks(), launch.local_size));
  Stack stack{std::move(registry),
              std::move(device),
              std::move(membership),
              std::move(config),
              std::move(texts.tokenizer),
              std::move(texts.chat_template),
              texts.add_bos_token,
              std::nullopt,
              loaded.loading,
              nullptr,
              nullptr,
              {}};
  if (launch.size == 1) stack.cost = loaded.model->cost();
  if (launch.rank > 0) {
    stack.follower = std::move(loaded.model);
    return stack;
  }
  if (options.apart.role != Role::kBoth) stack.model_hash = model_hash(options, input);
  FATHOM_ASSIGN(stack.engine, start_engine(options, stack, std::move(loaded.model)));
  return stack;
}

}  // namespace fathom::cli
