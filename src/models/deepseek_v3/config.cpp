#include "models/deepseek_v3/config.h"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "models/deepseek_v3/rope.h"

namespace fathom::models::deepseek_v3 {

using nlohmann::json;

namespace {

// Larger than any model yet, small enough that products of three sizes fit 64 bits.
constexpr int64_t kMaxSize = int64_t{1} << 20;

Error unsupported(const std::string& field, const std::string& expected, const json& got) {
  std::string shown = got.dump(-1, ' ', false, json::error_handler_t::replace);
  if (shown.size() > 80) shown = shown.substr(0, 77) + "...";
  return {ErrorCode::kUnsupported, fmt::format("{}: expected {}, got {}", field, expected, shown),
          field};
}

bool is_integer_in(const json& value, int64_t low, int64_t high) {
  if (!value.is_number_integer()) return false;
  const bool huge = value.is_number_unsigned() &&
                    value.get<uint64_t>() > uint64_t{std::numeric_limits<int64_t>::max()};
  return !huge && value.get<int64_t>() >= low && value.get<int64_t>() <= high;
}

// Reads fields of one JSON object; the first wrong one is kept as the error.
class FieldReader {
 public:
  FieldReader(const json& object, std::string prefix)
      : object_(object), prefix_(std::move(prefix)) {}

  const json* get(const char* name) const {
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  bool has(const char* name) const { return get(name) != nullptr; }

  template <typename Int>
  void integer(const char* name, int64_t low, int64_t high, Int& out, bool required = false) {
    const json* value = get(name);
    const auto expected = fmt::format("a whole number from {} to {}", low, high);
    if (value == nullptr) return missing(name, expected, required);
    if (!is_integer_in(*value, low, high)) return fail(name, expected, *value);
    out = static_cast<Int>(value->get<int64_t>());
  }

  template <typename Float>
  void number(const char* name, double low, double high, Float& out, bool required = false) {
    const json* value = get(name);
    if (value == nullptr) {
      return missing(name, fmt::format("a number from {} to {}", low, high), required);
    }
    const double number = value->is_number() ? value->get<double>() : std::nan("");
    if (!(number >= low && number <= high)) {
      return fail(name, fmt::format("a number from {} to {}", low, high), *value);
    }
    out = static_cast<Float>(number);
  }

  void boolean(const char* name, bool& out) {
    const json* value = get(name);
    if (value == nullptr) return;
    if (!value->is_boolean()) return fail(name, "true or false", *value);
    out = value->get<bool>();
  }

  // The text of a field, or `fallback`; a value that is no text fails.
  std::string text(const char* name, std::string fallback) {
    const json* value = get(name);
    if (value == nullptr) return fallback;
    if (!value->is_string()) {
      fail(name, "text", *value);
      return fallback;
    }
    return value->get<std::string>();
  }

  void fail(const char* name, const std::string& expected, const json& got) {
    if (!error_) error_ = unsupported(prefix_ + name, expected, got);
  }
  Status status() const { return error_ ? Status(*error_) : Status(); }

 private:
  void missing(const char* name, const std::string& expected, bool required) {
    if (required) fail(name, expected, json(nullptr));
  }

  const json& object_;
  std::string prefix_;
  std::optional<Error> error_;
};

Status read_sizes(FieldReader& in, Config& config) {
  in.integer("vocab_size", 1, kMaxSize * 4, config.vocab_size, true);
  in.integer("hidden_size", 1, kMaxSize, config.hidden_size, true);
  in.integer("intermediate_size", 1, kMaxSize, config.intermediate_size, true);
  in.integer("num_hidden_layers", 1, 4096, config.num_hidden_layers, true);
  in.integer("num_nextn_predict_layers", 0, 1, config.num_nextn_predict_layers);
  in.integer("max_position_embeddings", 1, int64_t{1} << 24, config.max_position_embeddings, true);
  in.number("rms_norm_eps", 0, 1, config.rms_norm_eps);
  in.boolean("tie_word_embeddings", config.tie_word_embeddings);
  const auto activation = in.text("hidden_act", "silu");
  if (activation != "silu") in.fail("hidden_act", "\"silu\"", activation);
  bool attention_bias = false;
  in.boolean("attention_bias", attention_bias);
  if (attention_bias) in.fail("attention_bias", "false", true);
  return in.status();
}

Status read_attention(FieldReader& in, Config& config) {
  in.integer("num_attention_heads", 1, 4096, config.num_attention_heads, true);
  int64_t kv_heads = config.num_attention_heads;
  in.integer("num_key_value_heads", 1, 4096, kv_heads);
  if (kv_heads != config.num_attention_heads) {
    in.fail("num_key_value_heads", "num_attention_heads (latent attention shares no heads)",
            kv_heads);
  }
  in.integer("q_lora_rank", 1, kMaxSize, config.q_lora_rank);
  in.integer("kv_lora_rank", 1, 1 << 16, config.kv_lora_rank, true);
  in.integer("qk_nope_head_dim", 1, 1 << 14, config.qk_nope_head_dim, true);
  in.integer("qk_rope_head_dim", 2, 1 << 14, config.qk_rope_head_dim, true);
  in.integer("v_head_dim", 1, 1 << 14, config.v_head_dim, true);
  FATHOM_TRY(in.status());
  if (config.qk_rope_head_dim % 2 != 0) {
    in.fail("qk_rope_head_dim", "an even number", config.qk_rope_head_dim);
  }
  return in.status();
}

Status read_rope(FieldReader& in, Config& config) {
  in.number("rope_theta", 2, 1e12, config.rope_theta);
  const json* scaling = in.get("rope_scaling");
  if (scaling == nullptr) return in.status();
  if (!scaling->is_object()) {
    in.fail("rope_scaling", "an object or null", *scaling);
    return in.status();
  }
  FieldReader fields(*scaling, "rope_scaling.");
  const auto type = fields.text("type", fields.text("rope_type", ""));
  FATHOM_TRY(fields.status());
  if (type == "default") return {};
  if (type != "yarn") fields.fail("type", "\"yarn\"", type);
  YarnScaling yarn;
  fields.number("factor", 1, 1e6, yarn.factor, true);
  fields.integer("original_max_position_embeddings", 1, int64_t{1} << 24,
                 yarn.original_max_positions, true);
  fields.number("beta_fast", 1e-3, 1e6, yarn.beta_fast);
  fields.number("beta_slow", 1e-3, 1e6, yarn.beta_slow);
  fields.number("mscale", 0, 100, yarn.mscale);
  fields.number("mscale_all_dim", 0, 100, yarn.mscale_all_dim);
  config.yarn = yarn;
  return fields.status();
}

// Which gate: V3 says sigmoid and noaux_tc; V2 says softmax and greedy or group_limited_greedy.
Status read_gate(FieldReader& in, Config& config) {
  const auto method = in.text("topk_method", "greedy");
  const auto scoring = in.text("scoring_func", "softmax");
  FATHOM_TRY(in.status());
  if (method == "noaux_tc") {
    config.gate_kind = FATHOM_GATE_NOAUX_TC;
    if (scoring != "sigmoid") in.fail("scoring_func", "\"sigmoid\" with noaux_tc", scoring);
  } else if (method == "greedy" || method == "group_limited_greedy") {
    config.gate_kind = method == "greedy" ? FATHOM_GATE_SOFTMAX : FATHOM_GATE_SOFTMAX_GROUPS;
    if (scoring != "softmax") in.fail("scoring_func", "\"softmax\" with " + method, scoring);
  } else {
    in.fail("topk_method", "\"noaux_tc\", \"greedy\" or \"group_limited_greedy\"", method);
  }
  if (config.gate_kind == FATHOM_GATE_SOFTMAX) config.n_group = config.topk_group = 1;
  return in.status();
}

Status check_groups(FieldReader& in, const Config& config) {
  const int64_t experts = config.n_routed_experts;
  if (experts % config.n_group != 0) {
    in.fail("n_group", fmt::format("a divisor of n_routed_experts = {}", experts), config.n_group);
    return in.status();
  }
  const int64_t group_size = experts / config.n_group;
  if (config.topk_group > config.n_group) {
    in.fail("topk_group", fmt::format("at most n_group = {}", config.n_group), config.topk_group);
  }
  if (config.num_experts_per_tok > group_size * config.topk_group) {
    in.fail(
        "num_experts_per_tok",
        fmt::format("at most the {} experts of topk_group groups", group_size * config.topk_group),
        config.num_experts_per_tok);
  }
  if (config.gate_kind == FATHOM_GATE_NOAUX_TC && group_size < 2) {
    in.fail("n_group", "two or more experts a group", config.n_group);
  }
  return in.status();
}

Status read_experts(FieldReader& in, Config& config) {
  in.integer("n_routed_experts", 0, 1 << 14, config.n_routed_experts);
  FATHOM_TRY(in.status());
  if (config.n_routed_experts == 0) return {};
  in.integer("moe_intermediate_size", 1, kMaxSize, config.moe_intermediate_size, true);
  in.integer("n_shared_experts", 0, 1024, config.n_shared_experts);
  in.integer("first_k_dense_replace", 0, 4096, config.first_k_dense_replace);
  in.integer("moe_layer_freq", 1, 4096, config.moe_layer_freq);
  in.integer("num_experts_per_tok", 1, std::min<int64_t>(config.n_routed_experts, 64),
             config.num_experts_per_tok, true);
  in.integer("n_group", 1, config.n_routed_experts, config.n_group);
  in.integer("topk_group", 1, config.n_routed_experts, config.topk_group);
  in.boolean("norm_topk_prob", config.norm_topk_prob);
  in.number("routed_scaling_factor", 0, 1e6, config.routed_scaling_factor);
  FATHOM_TRY(in.status());
  FATHOM_TRY(read_gate(in, config));
  return check_groups(in, config);
}

// What `fathom convert` writes: the groups are those of the format, and said for other readers.
Status read_fathom_weights(FieldReader& fields, Config& config) {
  const auto weights = fields.text("weights", "");
  if (weights != "int8" && weights != "int4") {
    fields.fail("weights", "\"int8\" or \"int4\"", weights);
    return fields.status();
  }
  config.stored_weights = weights == "int8" ? WeightFormat::kInt8 : WeightFormat::kInt4;
  const int32_t expected = weights == "int8" ? kInt8Group : kInt4Group;
  int32_t group_size = 0;
  fields.integer("group_size", expected, expected, group_size, true);
  return fields.status();
}

Status read_quantization(FieldReader& in, Config& config) {
  const json* quantization = in.get("quantization_config");
  if (quantization == nullptr) return {};
  if (!quantization->is_object()) {
    in.fail("quantization_config", "an object or null", *quantization);
    return in.status();
  }
  FieldReader fields(*quantization, "quantization_config.");
  const auto method = fields.text("quant_method", "");
  FATHOM_TRY(fields.status());
  if (method == "fathom") return read_fathom_weights(fields, config);
  const auto format = fields.text("fmt", "e4m3");
  if (method != "fp8") fields.fail("quant_method", "\"fp8\" or \"fathom\"", method);
  if (format != "e4m3") fields.fail("fmt", "\"e4m3\"", format);
  const json* block = fields.get("weight_block_size");
  const auto is_size = [](const json& v) { return is_integer_in(v, 1, 4096); };
  if (block == nullptr || !block->is_array() || block->size() != 2 || !is_size((*block)[0]) ||
      !is_size((*block)[1])) {
    fields.fail("weight_block_size", "two sizes, as [128, 128]",
                block == nullptr ? json(nullptr) : *block);
    return fields.status();
  }
  config.stored_weights = WeightFormat::kFp8;
  config.fp8_block_n = (*block)[0].get<int32_t>();
  config.fp8_block_k = (*block)[1].get<int32_t>();
  return fields.status();
}

Status read_eos(FieldReader& in, Config& config) {
  const json* eos = in.get("eos_token_id");
  if (eos == nullptr) return {};
  const json list = eos->is_array() ? *eos : json::array({*eos});
  for (const auto& id : list) {
    if (!is_integer_in(id, 0, config.vocab_size - 1)) {
      in.fail("eos_token_id", "token ids below vocab_size", *eos);
      return in.status();
    }
    config.eos_token_ids.push_back(id.get<int32_t>());
  }
  return {};
}

}  // namespace

Result<Config> Config::parse(const json& object) {
  if (!object.is_object()) return unsupported("config", "a JSON object", object);
  Config config;
  FieldReader in(object, "");
  const auto type = in.text("model_type", "");
  FATHOM_TRY(in.status());
  if (type != "deepseek_v3" && type != "deepseek_v2") {
    return unsupported("model_type", "\"deepseek_v3\" or \"deepseek_v2\"", type);
  }
  FATHOM_TRY(read_sizes(in, config));
  FATHOM_TRY(read_attention(in, config));
  FATHOM_TRY(read_rope(in, config));
  FATHOM_TRY(read_experts(in, config));
  FATHOM_TRY(read_quantization(in, config));
  FATHOM_TRY(read_eos(in, config));
  return config;
}

Result<Config> Config::load(const std::filesystem::path& config_json) {
  FATHOM_ASSIGN(const json object, read_json_file(config_json));
  auto config = parse(object);
  if (!config) return config.error().with_context(config_json.string());
  return config;
}

float Config::softmax_scale() const {
  double scale = 1.0 / std::sqrt(static_cast<double>(q_head_dim()));
  if (yarn && yarn->mscale_all_dim != 0) {
    const double mscale = yarn_mscale(yarn->factor, yarn->mscale_all_dim);
    scale *= mscale * mscale;
  }
  return static_cast<float>(scale);
}

}  // namespace fathom::models::deepseek_v3
