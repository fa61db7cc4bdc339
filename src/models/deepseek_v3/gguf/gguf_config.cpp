#include "models/deepseek_v3/gguf/gguf_config.h"

#include <fmt/format.h>

#include <cmath>

namespace fathom::models::deepseek_v3 {

using nlohmann::json;

namespace {

constexpr uint32_t kSoftmax = 1;  // expert_gating_func
constexpr uint32_t kSigmoid = 2;
// Files have YaRN's mscale_all_dim times this.
constexpr float kLogMultiplier = 0.1f;
// Files of V3 and R1 from before the groups were stored mean these.
constexpr int64_t kV3Experts = 256;
constexpr int64_t kV3Groups = 8;
constexpr int64_t kV3TopGroups = 4;

Error inexpressible(const std::string& field, const std::string& expected) {
  return {ErrorCode::kUnsupported,
          fmt::format("{}: GGUF's deepseek2 has only {}; expected such a model", field, expected),
          field};
}

Status check_expressible(const Config& config) {
  if (config.gate_kind == FATHOM_GATE_SOFTMAX_GROUPS) {
    return inexpressible("topk_method", "noaux_tc and greedy");
  }
  if (config.n_routed_experts > 0 && config.moe_layer_freq != 1) {
    return inexpressible("moe_layer_freq", "1");
  }
  if (config.n_routed_experts > 0 && config.n_shared_experts == 0) {
    return inexpressible("n_shared_experts", "one or more");
  }
  if (config.yarn && config.yarn->mscale != config.yarn->mscale_all_dim) {
    return inexpressible("rope_scaling.mscale", "one that equals mscale_all_dim");
  }
  return {};
}

// Adds keys under "deepseek2.".
class Keys {
 public:
  explicit Keys(GgufHeader& header) : header_(header) {}

  void count(const char* key, int64_t value) {
    header_.add(std::string("deepseek2.") + key, static_cast<uint32_t>(value));
  }
  void number(const char* key, double value) {
    header_.add(std::string("deepseek2.") + key, static_cast<float>(value));
  }
  void flag(const char* key, bool value) { header_.add(std::string("deepseek2.") + key, value); }
  void text(const char* key, const char* value) {
    header_.add(std::string("deepseek2.") + key, std::string_view(value));
  }

 private:
  GgufHeader& header_;
};

void add_attention(const Config& config, Keys& keys) {
  keys.count("attention.head_count", config.num_attention_heads);
  keys.count("attention.head_count_kv", 1);  // one latent for all heads
  keys.number("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  if (config.q_lora_rank > 0) keys.count("attention.q_lora_rank", config.q_lora_rank);
  keys.count("attention.kv_lora_rank", config.kv_lora_rank);
  keys.count("attention.key_length", config.latent_dim());
  keys.count("attention.value_length", config.kv_lora_rank);
  keys.count("attention.key_length_mla", config.q_head_dim());
  keys.count("attention.value_length_mla", config.v_head_dim);
  keys.count("rope.dimension_count", config.qk_rope_head_dim);
  keys.number("rope.freq_base", config.rope_theta);
  if (!config.yarn) return;
  keys.text("rope.scaling.type", "yarn");
  keys.number("rope.scaling.factor", config.yarn->factor);
  keys.count("rope.scaling.original_context_length", config.yarn->original_max_positions);
  keys.number("rope.scaling.yarn_beta_fast", config.yarn->beta_fast);
  keys.number("rope.scaling.yarn_beta_slow", config.yarn->beta_slow);
  keys.number("rope.scaling.yarn_log_multiplier", kLogMultiplier * config.yarn->mscale_all_dim);
}

void add_experts(const Config& config, Keys& keys) {
  const bool moe = config.n_routed_experts > 0;
  const bool normalizes = config.norm_topk_prob && config.num_experts_per_tok > 1;
  const bool scales = config.gate_kind == FATHOM_GATE_NOAUX_TC || !normalizes;
  keys.count("leading_dense_block_count",
             moe ? config.first_k_dense_replace : config.num_hidden_layers);
  keys.count("expert_feed_forward_length",
             moe ? config.moe_intermediate_size : config.intermediate_size);
  keys.count("expert_shared_count", config.n_shared_experts);
  if (!moe) return;
  keys.count("expert_count", config.n_routed_experts);
  keys.count("expert_used_count", config.num_experts_per_tok);
  keys.count("expert_group_count", config.n_group);
  keys.count("expert_group_used_count", config.topk_group);
  keys.number("expert_weights_scale", scales ? config.routed_scaling_factor : 1.0f);
  keys.flag("expert_weights_norm", normalizes);
  keys.count("expert_gating_func", config.gate_kind == FATHOM_GATE_NOAUX_TC ? kSigmoid : kSoftmax);
}

// Reads keys under "deepseek2."; the first wrong one is kept.
class KeyReader {
 public:
  explicit KeyReader(const GgufFile& file) : file_(file) {}

  bool has(const std::string& key) const { return file_.value("deepseek2." + key) != nullptr; }
  // A missing one takes `fallback`; -1 stands for none: the key must be there.
  int64_t count(const std::string& key, int64_t fallback = -1) {
    const json* value = file_.value("deepseek2." + key);
    if (value == nullptr && fallback >= 0) return fallback;
    const bool good = value != nullptr && value->is_number_integer() &&
                      value->get<int64_t>() >= 0 && value->get<int64_t>() <= int64_t{1} << 40;
    if (!good) fail(key, "a whole number", value);
    return good ? value->get<int64_t>() : 0;
  }
  double number(const std::string& key, double fallback) {
    const json* value = file_.value("deepseek2." + key);
    if (value == nullptr) return fallback;
    // Files keep single precision: its shortest decimal is what was meant.
    const bool good = value->is_number() && std::isfinite(value->get<double>());
    if (!good) fail(key, "a finite number", value);
    return good ? std::stod(fmt::format("{}", value->get<float>())) : 0;
  }
  bool flag(const std::string& key) {
    const json* value = file_.value("deepseek2." + key);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  void fail(const std::string& key, const char* expected, const json* got) {
    if (error_) return;
    error_ = Error{ErrorCode::kDataCorrupt,
                   fmt::format("{}: deepseek2.{}: expected {}, got {}", file_.path(), key, expected,
                               got == nullptr ? "none" : got->type_name()),
                   key};
  }

  const GgufFile& file_;
  std::optional<Error> error_;
};

json rope_scaling(const GgufFile& file, KeyReader& keys) {
  const json* type = file.value("deepseek2.rope.scaling.type");
  if (type == nullptr || *type == "none") return nullptr;
  const double mscale = keys.number("rope.scaling.yarn_log_multiplier", 0) / kLogMultiplier;
  const double rounded = std::round(mscale * 1e6) / 1e6;
  return {{"type", *type},
          {"factor", keys.number("rope.scaling.factor", 1)},
          {"original_max_position_embeddings", keys.count("rope.scaling.original_context_length")},
          {"beta_fast", keys.number("rope.scaling.yarn_beta_fast", 32)},
          {"beta_slow", keys.number("rope.scaling.yarn_beta_slow", 1)},
          {"mscale", rounded},
          {"mscale_all_dim", rounded}};
}

void read_attention(KeyReader& keys, json& config) {
  const int64_t heads = keys.count("attention.head_count");
  const bool split = keys.has("attention.key_length_mla");
  const int64_t key = keys.count(split ? "attention.key_length_mla" : "attention.key_length");
  const int64_t rope = keys.count("rope.dimension_count");
  config["num_attention_heads"] = heads;
  config["num_key_value_heads"] = heads;
  config["q_lora_rank"] =
      keys.has("attention.q_lora_rank") ? json(keys.count("attention.q_lora_rank")) : json();
  config["kv_lora_rank"] = keys.count("attention.kv_lora_rank");
  config["qk_rope_head_dim"] = rope;
  config["qk_nope_head_dim"] = key - rope;
  config["v_head_dim"] =
      keys.count(split ? "attention.value_length_mla" : "attention.value_length");
  config["rms_norm_eps"] = keys.number("attention.layer_norm_rms_epsilon", 1e-6);
  config["rope_theta"] = keys.number("rope.freq_base", 10000);
}

void read_experts(KeyReader& keys, json& config) {
  const int64_t experts = keys.count("expert_count", 0);
  const bool sigmoid = keys.count("expert_gating_func", kSoftmax) == kSigmoid;
  const bool v3 = sigmoid && experts == kV3Experts;
  const int64_t groups = keys.count("expert_group_count", v3 ? kV3Groups : 1);
  config["model_type"] = sigmoid || experts == 0 ? "deepseek_v3" : "deepseek_v2";
  config["architectures"] = {sigmoid ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"};
  config["n_routed_experts"] = experts;
  if (experts == 0) return;
  config["moe_intermediate_size"] = keys.count("expert_feed_forward_length");
  config["n_shared_experts"] = keys.count("expert_shared_count");
  config["first_k_dense_replace"] = keys.count("leading_dense_block_count");
  config["moe_layer_freq"] = 1;
  config["num_experts_per_tok"] = keys.count("expert_used_count");
  config["n_group"] = groups;
  config["topk_group"] = keys.count("expert_group_used_count", v3 ? kV3TopGroups : 1);
  config["routed_scaling_factor"] = keys.number("expert_weights_scale", 1);
  config["norm_topk_prob"] = keys.flag("expert_weights_norm");
  config["scoring_func"] = sigmoid ? "sigmoid" : "softmax";
  config["topk_method"] = sigmoid ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
}

}  // namespace

Status add_gguf_config(const Config& config, GgufHeader& header) {
  FATHOM_TRY(check_expressible(config));
  header.add("general.architecture", std::string_view("deepseek2"));
  Keys keys(header);
  keys.count("vocab_size", config.vocab_size);
  keys.count("context_length", config.max_position_embeddings);
  keys.count("embedding_length", config.hidden_size);
  keys.count("block_count", config.num_hidden_layers);
  keys.count("feed_forward_length", config.intermediate_size);
  add_attention(config, keys);
  add_experts(config, keys);
  return {};
}

Result<json> config_of_gguf(const GgufFile& file) {
  const json* architecture = file.value("general.architecture");
  if (architecture == nullptr || *architecture != "deepseek2") {
    return Error{
        ErrorCode::kUnsupported,
        fmt::format("{}: general.architecture: expected deepseek2, got {}", file.path(),
                    architecture == nullptr
                        ? "none"
                        : architecture->dump(-1, ' ', true, json::error_handler_t::replace))};
  }
  KeyReader keys(file);
  const GgufTensor* embedding = file.tensor("token_embd.weight");
  const int64_t tokens = embedding == nullptr ? 0 : embedding->rows();
  json config = {{"vocab_size", keys.count("vocab_size", tokens)},
                 {"hidden_size", keys.count("embedding_length")},
                 {"num_hidden_layers", keys.count("block_count")},
                 {"intermediate_size", keys.count("feed_forward_length")},
                 {"max_position_embeddings", keys.count("context_length")},
                 {"num_nextn_predict_layers", 0},
                 {"hidden_act", "silu"},
                 {"tie_word_embeddings", file.tensor("output.weight") == nullptr},
                 {"rope_scaling", rope_scaling(file, keys)},
                 {"torch_dtype", "bfloat16"}};
  read_attention(keys, config);
  read_experts(keys, config);
  for (const char* token : {"bos", "eos"}) {
    const json* id = file.value(fmt::format("tokenizer.ggml.{}_token_id", token));
    if (id != nullptr) config[fmt::format("{}_token_id", token)] = *id;
  }
  FATHOM_TRY(keys.status());
  return config;
}

}  // namespace fathom::models::deepseek_v3
