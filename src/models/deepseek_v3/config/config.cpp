#include "models/deepseek_v3/config/config.h"

#include <fmt/format.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "models/deepseek_v3/config/config_fields.h"
#include "models/deepseek_v3/config/config_rope.h"
#include "models/deepseek_v3/config/rope.h"

namespace fathom::models::deepseek_v3 {

using nlohmann::json;

namespace {

// Larger than any model yet, small enough that products of three sizes fit 64 bits.
constexpr int64_t kMaxSize = int64_t{1} << 20;
constexpr int64_t kDefaultQueryRank = 1536;  // where q_lora_rank is absent, with V2's class as V3's

Status read_sizes(FieldReader& in, Config& config) {
  in.integer("vocab_size", 1, kMaxSize * 4, config.vocab_size, true);
  in.integer("hidden_size", 1, kMaxSize, config.hidden_size, true);
  in.integer("intermediate_size", 1, kMaxSize, config.intermediate_size, true);
  in.integer("num_hidden_layers", 1, 4096, config.num_hidden_layers, true);
  in.integer("num_nextn_predict_layers", 0, 1, config.num_nextn_predict_layers);
  in.integer("max_position_embeddings", 1, int64_t{1} << 24, config.max_position_embeddings, true);
  in.number("rms_norm_eps", 0, 1, config.rms_norm_eps);
  in.boolean("tie_word_embeddings", config.tie_word_embeddings);
  in.only("hidden_act", "silu");
  for (const char* unknown :
       {"add_cross_attention", "attention_bias", "attn_bias", "is_encoder_decoder", "mlp_bias",
        "tie_encoder_decoder", "use_sliding_window"}) {
    in.only(unknown, false);
  }
  in.only("pruned_heads", json::object());
  // Decoders are what these models are, said or not.
  in.ignore({"is_decoder"});
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
  if (!in.is_null("q_lora_rank")) config.q_lora_rank = kDefaultQueryRank;
  in.integer("q_lora_rank", 1, kMaxSize, config.q_lora_rank);
  in.integer("kv_lora_rank", 1, 1 << 16, config.kv_lora_rank, true);
  in.integer("qk_nope_head_dim", 1, 1 << 14, config.qk_nope_head_dim, true);
  in.integer("qk_rope_head_dim", 2, 1 << 14, config.qk_rope_head_dim, true);
  in.integer("v_head_dim", 1, 1 << 14, config.v_head_dim, true);
  FATHOM_TRY(in.status());
  if (config.qk_rope_head_dim % 2 != 0) {
    in.fail("qk_rope_head_dim", "an even number", config.qk_rope_head_dim);
  }
  in.only("qk_head_dim", config.q_head_dim());
  // transformers means the part that turns, others the whole.
  int64_t head_dim = config.qk_rope_head_dim;
  in.integer("head_dim", 1, kMaxSize, head_dim);
  if (head_dim != config.qk_rope_head_dim && head_dim != config.q_head_dim()) {
    in.fail("head_dim", "qk_rope_head_dim, or that and qk_nope_head_dim", head_dim);
  }
  return in.status();
}

// Which gate: V3 says sigmoid and noaux_tc; V2 says softmax and greedy or group_limited_greedy.
// Where nothing is said, the classes' own defaults count, and V2's has a misspelled one.
Status read_gate(FieldReader& in, bool v3, Config& config) {
  const auto method = in.text("topk_method", v3 ? "noaux_tc" : "greedy");
  const auto scoring = in.text("scoring_func", v3 ? "sigmoid" : "softmax");
  FATHOM_TRY(in.status());
  const bool greedy = method == "greedy" || method == "gready";
  if (method == "noaux_tc") {
    config.gate_kind = FATHOM_GATE_NOAUX_TC;
    if (scoring != "sigmoid") in.fail("scoring_func", "\"sigmoid\" with noaux_tc", scoring);
  } else if (greedy || method == "group_limited_greedy") {
    config.gate_kind = greedy ? FATHOM_GATE_SOFTMAX : FATHOM_GATE_SOFTMAX_GROUPS;
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

// What absent fields mean with V3's class. Null is no default there: it means none.
void set_v3_defaults(const FieldReader& in, Config& config) {
  if (!in.is_null("n_routed_experts")) config.n_routed_experts = 256;
  if (!in.is_null("n_shared_experts")) config.n_shared_experts = 1;
  if (!in.is_null("n_group")) config.n_group = 8;
  if (!in.is_null("topk_group")) config.topk_group = 4;
  config.first_k_dense_replace = 3;
  config.norm_topk_prob = true;
  config.routed_scaling_factor = 2.5f;
}

Status read_experts(FieldReader& in, bool v3, Config& config) {
  if (v3) set_v3_defaults(in, config);
  in.integer("n_routed_experts", 0, 1 << 14, config.n_routed_experts);
  in.only("num_local_experts", config.n_routed_experts);  // transformers' other name for it
  FATHOM_TRY(in.status());
  if (config.n_routed_experts == 0) {
    in.ignore({"first_k_dense_replace", "moe_intermediate_size", "moe_layer_freq", "n_group",
               "n_shared_experts", "norm_topk_prob", "num_experts_per_tok", "routed_scaling_factor",
               "scoring_func", "topk_group", "topk_method"});
    config.n_shared_experts = 0;
    return {};
  }
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
  FATHOM_TRY(read_gate(in, v3, config));
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
  fields.refuse_others([](std::string_view) { return false; });
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
  fields.only("activation_scheme", "dynamic");
  // How scales were rounded, what is stored otherwise (each tensor's own type says that), and
  // how transformers loads: nothing that changes what is stored.
  fields.ignore({"dequantize", "ignored_layers", "modules_to_not_convert", "scale_fmt"});
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
  fields.refuse_others([](std::string_view) { return false; });
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
  if (!object.is_object()) return unsupported_field("config", "a JSON object", object);
  Config config;
  FieldReader in(object, "");
  const auto type = in.text("model_type", "");
  FATHOM_TRY(in.status());
  const bool v3 = type == "deepseek_v3";
  if (!v3 && type != "deepseek_v2") {
    return unsupported_field("model_type", "\"deepseek_v3\" or \"deepseek_v2\"", type);
  }
  FATHOM_TRY(read_sizes(in, config));
  FATHOM_TRY(read_attention(in, config));
  FATHOM_TRY(read_rope(in, config));
  FATHOM_TRY(read_experts(in, v3, config));
  FATHOM_TRY(read_quantization(in, config));
  FATHOM_TRY(read_eos(in, config));
  in.refuse_others(is_harmless_field);
  FATHOM_TRY(in.status());
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
