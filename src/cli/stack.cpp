#include "cli/stack.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backends/cpu/cpu_backend.h"
#include "backends/sim/sim_backend.h"
#include "base/json_file.h"
#include "base/log.h"
#include "cli/model_input.h"
#include "cli/progress.h"
#include "cli/synthetic_tokenizer.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/plan.h"
#include "ops/ops.h"

namespace fathom::cli {

namespace fs = std::filesystem;
namespace dsv3 = models::deepseek_v3;

namespace {

constexpr int32_t kKvBlockSize =
    32;  // positions; small enough to waste little, large enough to scan
// Rows of logits beyond one a sequence, for scoring prompts: enough to keep the head busy.
constexpr int64_t kPromptLogitRows = 64;

// What stops generation: the tokens config.json and generation_config.json name.
Status add_generation_eos(const fs::path& model, dsv3::Config& config) {
  const fs::path path = model / "generation_config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  FATHOM_ASSIGN(const nlohmann::json json, read_json_file(path));
  if (!json.is_object() || !json.contains("eos_token_id")) return {};
  const auto& eos = json["eos_token_id"];
  for (const auto& id : eos.is_array() ? eos : nlohmann::json::array({eos})) {
    const bool valid =
        id.is_number_unsigned() && id.get<uint64_t>() < static_cast<uint64_t>(config.vocab_size);
    if (!valid) {
      return Error{ErrorCode::kDataCorrupt,
                   fmt::format("{}: eos_token_id: expected token ids below {}, got {}",
                               path.string(), config.vocab_size, eos.dump())};
    }
    const auto token = id.get<int32_t>();
    if (std::ranges::find(config.eos_token_ids, token) == config.eos_token_ids.end()) {
      config.eos_token_ids.push_back(token);
    }
  }
  return {};
}

Result<std::optional<tokenizer::ChatTemplate>> load_template(const StackOptions& options) {
  auto source = tokenizer::ChatTemplate::load_source(options.model);
  if (!options.chat_template.empty()) {
    std::ifstream file(options.chat_template, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    if (!file) {
      return Error{ErrorCode::kNotFound, fmt::format("--chat-template: {} cannot be read",
                                                     options.chat_template.string())};
    }
    // A model without a template of its own still has its two tokens.
    tokenizer::ChatTemplateSource own = source ? *source : tokenizer::ChatTemplateSource{};
    auto parsed = tokenizer::ChatTemplate::parse(text.str(), own.bos_token, own.eos_token);
    if (!parsed) return parsed.error().with_context(options.chat_template.string());
    return std::optional(std::move(*parsed));
  }
  if (!source && source.error().code == ErrorCode::kNotFound) {
    log_warning("{}; chat requests will be refused (--chat-template gives one)",
                source.error().message);
    return std::optional<tokenizer::ChatTemplate>();
  }
  if (!source) return source.error();
  auto parsed = tokenizer::ChatTemplate::parse(source->text, source->bos_token, source->eos_token);
  if (!parsed) {
    std::error_code ignored;
    const bool own_file = fs::exists(options.model / "chat_template.jinja", ignored);
    const fs::path file =
        options.model / (own_file ? "chat_template.jinja" : "tokenizer_config.json");
    return parsed.error().with_context(file.string());
  }
  return std::optional(std::move(*parsed));
}

// Whether tokenizer_config.json wants text prompts to begin with the bos token.
Result<bool> read_add_bos_token(const fs::path& model) {
  const fs::path path = model / "tokenizer_config.json";
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return false;
  FATHOM_ASSIGN(const nlohmann::json json, read_json_file(path));
  if (!json.is_object() || !json.contains("add_bos_token")) return false;
  if (!json["add_bos_token"].is_boolean()) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: add_bos_token: expected true or false, got {}", path.string(),
                             json["add_bos_token"].dump())};
  }
  return json["add_bos_token"].get<bool>();
}

// Blocks for the cache: what the user gave, or enough for every running sequence's whole context,
// but no more than a quarter of the free memory.
Result<int64_t> choose_kv_blocks(const StackOptions& options, const dsv3::Config& config,
                                 const device::Device& device, const models::RunLimits& limits,
                                 int64_t context) {
  const auto block_bytes = static_cast<int64_t>(dsv3::kv_block_bytes(config, device, limits));
  const int64_t blocks_of_one = (context + kKvBlockSize - 1) / kKvBlockSize + 1;
  int64_t budget = options.kv_memory_mib << 20;
  if (budget == 0) {
    const auto free_bytes = static_cast<int64_t>(device.info().memory_free);
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

Result<fathom_dtype> choose_kv_dtype(const StackOptions& options,
                                     const models::TensorSource& source, const dsv3::Config& config,
                                     const device::Device& device) {
  switch (options.kv_cache) {
    case KvCacheFormat::kF32:
      return FATHOM_F32;
    case KvCacheFormat::kBf16:
      return FATHOM_BF16;
    case KvCacheFormat::kAuto:
      break;
  }
  return dsv3::choose_kv_dtype(source, config, options.weights, device.kv_dtype());
}

Result<models::RunLimits> choose_limits(const StackOptions& options,
                                        const models::TensorSource& source,
                                        const dsv3::Config& config, const device::Device& device) {
  FATHOM_ASSIGN(models::RunLimits limits, step_limits(options, config));
  FATHOM_ASSIGN(limits.kv_dtype, choose_kv_dtype(options, source, config, device));
  FATHOM_ASSIGN(limits.num_kv_blocks,
                choose_kv_blocks(options, config, device, limits, limits.max_context));
  const int64_t held = limits.num_kv_blocks * kKvBlockSize;
  if (options.max_context > held) {
    return invalid_argument(
        fmt::format("--max-context: expected at most the {} positions that --kv-memory holds, got "
                    "{}",
                    held, options.max_context));
  }
  limits.max_context = std::min(limits.max_context, held);
  return limits;
}

Result<std::unique_ptr<device::Device>> open_device(const device::Registry& registry,
                                                    const StackOptions& options) {
  FATHOM_ASSIGN(const fathom_backend* backend, registry.find(options.chip));
  FATHOM_ASSIGN(auto device, device::Device::open(*backend, {.index = 0,
                                                             .threads = options.threads,
                                                             .kernels = options.kernels}));
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

Status tell(const models::WeightReport& report, const StackOptions& options) {
  if (const auto summary = report.summary(); !summary.empty()) log_info("weights: {}", summary);
  return options.weight_report.empty() ? Status() : report.write(options.weight_report);
}

Result<std::unique_ptr<dsv3::Model>> load_model(const StackOptions& options,
                                                std::shared_ptr<const models::TensorSource> source,
                                                const dsv3::Config& config,
                                                device::Device& device) {
  FATHOM_ASSIGN(const models::RunLimits limits, choose_limits(options, *source, config, device));
  ProgressBar bar("loading " + options.name(), options.progress);
  models::WeightReport report;
  auto model = dsv3::Model::load(
      std::move(source), config, device, limits,
      {.format = options.weights,
       .threads = options.threads,
       .report = &report,
       .progress = [&bar](size_t done, size_t total) { bar.update(done, total); }});
  bar.finish();
  if (!model) return model.error();
  FATHOM_TRY(tell(report, options));
  log_info(
      "{}: {} layers on {}; cache of {} tokens in {} MiB ({}), context {}", options.name(),
      config.num_hidden_layers, device.info().name, limits.num_kv_blocks * limits.kv_block_size,
      (static_cast<size_t>(limits.num_kv_blocks) * dsv3::kv_block_bytes(config, device, limits)) >>
          20,
      limits.kv_dtype == FATHOM_BF16 ? "bf16" : "f32", limits.max_context);
  return model;
}

}  // namespace

Result<models::RunLimits> step_limits(const StackOptions& options, const dsv3::Config& config) {
  const int64_t longest = config.max_position_embeddings;
  if (options.max_context > longest) {
    return invalid_argument(fmt::format("--max-context: expected at most the model's {}, got {}",
                                        longest, options.max_context));
  }
  models::RunLimits limits;
  limits.kv_block_size = kKvBlockSize;
  limits.max_context = options.max_context > 0 ? options.max_context : longest;
  limits.max_step_sequences = options.max_running;
  const int64_t drafts = config.num_nextn_predict_layers > 0 ? options.speculate : 0;
  const int64_t decoded_rows = options.max_running * (1 + drafts);
  limits.max_step_tokens = 2 * options.prefill_chunk + decoded_rows;
  limits.max_logit_rows = decoded_rows + kPromptLogitRows;
  return limits;
}

std::unique_ptr<device::Registry> find_chips() {
  auto registry = std::make_unique<device::Registry>();
  for (const auto entry : {fathom_cpu_backend_entry, fathom_sim_backend_entry}) {
    const auto added = registry->add(entry);
    FATHOM_CHECK(added.ok(), "a built-in backend serves this contract");
  }
  std::error_code failed;
  const fs::path binary = fs::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    for (const auto& error : registry->load_all(binary.parent_path())) {
      log_warning("{}", error.message);
    }
  }
  return registry;
}

namespace {

// The parts of a model that has text.
struct Texts {
  tokenizer::Tokenizer tokenizer;
  std::optional<tokenizer::ChatTemplate> chat_template;
  bool add_bos_token = false;
};

Result<Texts> load_texts(const StackOptions& options) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::load(options.model / "tokenizer.json",
                                           options.model / "tokenizer_config.json"));
  FATHOM_ASSIGN(auto chat_template, load_template(options));
  FATHOM_ASSIGN(const bool add_bos_token, read_add_bos_token(options.model));
  return Texts{std::move(tokenizer), std::move(chat_template), add_bos_token};
}

Result<Texts> synthetic_texts(const ModelInput& input) {
  FATHOM_ASSIGN(auto tokenizer,
                tokenizer::Tokenizer::parse(input.texts.at("tokenizer.json"),
                                            input.texts.at("tokenizer_config.json")));
  FATHOM_ASSIGN(auto chat_template, tokenizer::ChatTemplate::parse(kSyntheticChatTemplate,
                                                                   kSyntheticBos, kSyntheticEos));
  return Texts{std::move(tokenizer), std::move(chat_template), false};
}

Result<ModelInput> open_input(const StackOptions& options) {
  if (!options.synthetic.empty()) return open_synthetic(options.synthetic);
  return open_directory(options.model);
}

}  // namespace

Result<Stack> build_stack(const StackOptions& options) {
  auto registry = find_chips();
  FATHOM_ASSIGN(ModelInput input, open_input(options));
  dsv3::Config& config = input.config;
  if (options.synthetic.empty()) FATHOM_TRY(add_generation_eos(options.model, config));
  FATHOM_ASSIGN(Texts texts,
                options.synthetic.empty() ? load_texts(options) : synthetic_texts(input));
  if (texts.tokenizer.vocab_size() > config.vocab_size) {
    return Error{ErrorCode::kDataCorrupt,
                 fmt::format("{}: expected at most the model's {} tokens, got {}",
                             (options.model / "tokenizer.json").string(), config.vocab_size,
                             texts.tokenizer.vocab_size())};
  }
  FATHOM_ASSIGN(auto device, open_device(*registry, options));
  FATHOM_ASSIGN(auto model, load_model(options, std::move(input.source), config, *device));
  const auto cost = model->cost();
  FATHOM_ASSIGN(auto engine,
                engine::make_engine(std::move(model), {.eos_token_ids = config.eos_token_ids,
                                                       .max_running = options.max_running,
                                                       .max_waiting = options.max_waiting,
                                                       .prefill_chunk = options.prefill_chunk,
                                                       .prefix_cache = options.prefix_cache,
                                                       .exact = options.exact,
                                                       .speculate = options.speculate}));
  return Stack{std::move(registry),
               std::move(device),
               std::move(config),
               std::move(texts.tokenizer),
               std::move(texts.chat_template),
               texts.add_bos_token,
               cost,
               std::move(engine)};
}

}  // namespace fathom::cli
