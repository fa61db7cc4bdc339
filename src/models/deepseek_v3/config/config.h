// config.json of DeepSeek-V3, R1, and V2-style models, checked field by field: what is absent means
// what DeepSeek's classes mean by it, and a field that is not known is refused by name, unless it
// is plainly metadata (is_harmless_field()), since it may change what the model computes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "device/abi.h"
#include "models/weight_format.h"

namespace fathom::models::deepseek_v3 {

// Context extension (YaRN paper, arXiv 2309.00071, as the released code applies it).
struct YarnScaling {
  double factor = 1;
  int64_t original_max_positions = 4096;
  double beta_fast = 32;
  double beta_slow = 1;
  double mscale = 1;
  double mscale_all_dim = 0;

  bool operator==(const YarnScaling&) const = default;
};

// Names follow the fields of config.json; see the DeepSeek-V3 paper, section 4.2, for their values.
struct Config {
  int64_t vocab_size = 0;
  int64_t hidden_size = 0;
  int64_t intermediate_size = 0;      // of dense layers
  int64_t moe_intermediate_size = 0;  // of one expert
  int64_t num_hidden_layers = 0;
  int64_t num_nextn_predict_layers = 0;  // MTP layers: 0 or 1
  int64_t max_position_embeddings = 0;
  float rms_norm_eps = 1e-6f;

  int32_t num_attention_heads = 0;
  int64_t q_lora_rank = 0;  // 0: queries straight from the hidden state
  int32_t kv_lora_rank = 0;
  int32_t qk_nope_head_dim = 0;
  int32_t qk_rope_head_dim = 0;
  int32_t v_head_dim = 0;
  double rope_theta = 10000;
  std::optional<YarnScaling> yarn;

  int64_t n_routed_experts = 0;  // 0: every layer is dense
  int64_t n_shared_experts = 0;
  int64_t first_k_dense_replace = 0;
  int64_t moe_layer_freq = 1;
  int32_t num_experts_per_tok = 0;
  int32_t n_group = 1;
  int32_t topk_group = 1;
  bool norm_topk_prob = false;
  float routed_scaling_factor = 1;
  fathom_gate_kind gate_kind = FATHOM_GATE_NOAUX_TC;

  bool tie_word_embeddings = false;
  WeightFormat stored_weights = WeightFormat::kBf16;  // what quantization_config says
  int32_t fp8_block_n = 128;  // rows and columns that share one weight_scale_inv
  int32_t fp8_block_k = 128;
  std::vector<int32_t> eos_token_ids;

  bool is_moe_layer(int64_t layer) const {
    return n_routed_experts > 0 && layer >= first_k_dense_replace && layer % moe_layer_freq == 0;
  }
  int64_t q_head_dim() const { return int64_t{qk_nope_head_dim} + qk_rope_head_dim; }
  int64_t latent_dim() const { return int64_t{kv_lora_rank} + qk_rope_head_dim; }
  // Of attention scores: (nope + rope)^-0.5, times YaRN's mscale squared.
  float softmax_scale() const;

  // Errors name the file, the field, what is supported and what was found.
  static Result<Config> load(const std::filesystem::path& config_json);
  static Result<Config> parse(const nlohmann::json& json);
};

}  // namespace fathom::models::deepseek_v3
