#include "models/deepseek_v3/weights/synthetic.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "models/random_rows.h"

namespace fathom::models::deepseek_v3 {
namespace {

using nlohmann::json;

// What all of them share: V3's architecture and gate.
json base_config() {
  return {{"architectures", {"DeepseekV3ForCausalLM"}},
          {"model_type", "deepseek_v3"},
          {"bos_token_id", 0},
          {"eos_token_id", 1},
          {"first_k_dense_replace", 1},
          {"hidden_act", "silu"},
          {"max_position_embeddings", 20480},
          {"moe_layer_freq", 1},
          {"n_shared_experts", 1},
          {"norm_topk_prob", true},
          {"num_nextn_predict_layers", 0},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling", nullptr},
          {"rope_theta", 10000.0},
          {"routed_scaling_factor", 2.5},
          {"scoring_func", "sigmoid"},
          {"tie_word_embeddings", false},
          {"topk_method", "noaux_tc"},
          {"torch_dtype", "bfloat16"}};
}

// 3.62 billion parameters, of which about 675 million are read a token.
json v3_mini() {
  json config = base_config();
  config.update({{"hidden_size", 2048},
                 {"intermediate_size", 6144},
                 {"kv_lora_rank", 512},
                 {"moe_intermediate_size", 768},
                 {"n_group", 8},
                 {"n_routed_experts", 64},
                 {"num_attention_heads", 16},
                 {"num_experts_per_tok", 8},
                 {"num_hidden_layers", 12},
                 {"num_key_value_heads", 16},
                 {"q_lora_rank", 768},
                 {"qk_nope_head_dim", 128},
                 {"qk_rope_head_dim", 64},
                 {"topk_group", 4},
                 {"v_head_dim", 128},
                 {"vocab_size", 16384}});
  return config;
}

// For tests. Rows are whole blocks of 32, so that every format can hold them.
json tiny() {
  json config = v3_mini();
  config.update({{"hidden_size", 128},
                 {"intermediate_size", 192},
                 {"kv_lora_rank", 64},
                 {"moe_intermediate_size", 64},
                 {"n_group", 4},
                 {"n_routed_experts", 16},
                 {"num_attention_heads", 4},
                 {"num_experts_per_tok", 4},
                 {"num_hidden_layers", 3},
                 {"num_key_value_heads", 4},
                 {"q_lora_rank", 96},
                 {"qk_nope_head_dim", 32},
                 {"qk_rope_head_dim", 16},
                 {"topk_group", 2},
                 {"v_head_dim", 32},
                 {"vocab_size", 512}});
  return config;
}

// The released DeepSeek-V3, with its MTP layer: 671 billion parameters and 14 billion more. Only a
// chip that ignores weights starts it in reasonable time.
json v3() {
  json config = base_config();
  config.update({{"first_k_dense_replace", 3},
                 {"hidden_size", 7168},
                 {"intermediate_size", 18432},
                 {"kv_lora_rank", 512},
                 {"max_position_embeddings", 163840},
                 {"moe_intermediate_size", 2048},
                 {"n_group", 8},
                 {"n_routed_experts", 256},
                 {"num_attention_heads", 128},
                 {"num_experts_per_tok", 8},
                 {"num_hidden_layers", 61},
                 {"num_key_value_heads", 128},
                 {"num_nextn_predict_layers", 1},
                 {"q_lora_rank", 1536},
                 {"qk_nope_head_dim", 128},
                 {"qk_rope_head_dim", 64},
                 {"rope_scaling",
                  {{"type", "yarn"},
                   {"factor", 40},
                   {"original_max_position_embeddings", 4096},
                   {"beta_fast", 32},
                   {"beta_slow", 1},
                   {"mscale", 1.0},
                   {"mscale_all_dim", 1.0}}},
                 {"topk_group", 4},
                 {"v_head_dim", 128},
                 {"vocab_size", 129280}});
  return config;
}

}  // namespace

std::vector<std::string> synthetic_names() {
  return {"tiny", "v3-mini", "v3-mini-mtp", "v3"};
}

Result<json> synthetic_config(const std::string& name) {
  if (name == "tiny") return tiny();
  if (name == "v3") return v3();
  json config = v3_mini();
  if (name == "v3-mini") return config;
  if (name != "v3-mini-mtp") {
    return invalid_argument(
        fmt::format("--synthetic: expected {}, got {}", fmt::join(synthetic_names(), ", "), name));
  }
  config["num_nextn_predict_layers"] = 1;
  return config;
}

// The MTP layer's own embedding and head are the model's.
bool SyntheticSource::contains(std::string_view name) const {
  return !name.ends_with(".embed_tokens.weight") && !name.ends_with(".shared_head.head.weight");
}

std::string SyntheticSource::describe(const std::string& name) const {
  return "synthetic tensor " + name;
}

Result<Weight> SyntheticSource::matrix(const std::string&, int64_t n, int64_t k) const {
  return weight_in_rows(FATHOM_BF16, n, k);
}

Status SyntheticSource::check(const std::string&, const Weight&) const {
  return {};
}

Status SyntheticSource::read_rows(const std::string& name, const Weight& matrix, int64_t begin,
                                  int64_t count, float* out) const {
  const uint64_t key = name_key(name);
  const float deviation = 1 / std::sqrt(static_cast<float>(matrix.k));
  for (int64_t row = 0; row < count; ++row) {
    random_row(key, begin + row, matrix.k, deviation, out + row * matrix.k);
  }
  return {};
}

// Norms do nothing; the gate's correction biases are small beside its scores.
Result<std::vector<float>> SyntheticSource::vector(const std::string& name, int64_t n) const {
  std::vector<float> values(static_cast<size_t>(n), 1.0f);
  if (name.ends_with("_bias")) random_row(name_key(name), 0, n, 0.02f, values.data());
  return values;
}

void SyntheticSource::release(const std::string&) const {}

}  // namespace fathom::models::deepseek_v3
