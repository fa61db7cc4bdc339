#include "models/deepseek_v3/gguf/gguf_names.h"

#include <fmt/format.h>

#include <charconv>
#include <map>
#include <string_view>

namespace fathom::models::deepseek_v3 {
namespace {

using Names = std::map<std::string_view, std::string_view>;

const Names kModelNames = {{"model.embed_tokens.weight", "token_embd.weight"},
                           {"model.norm.weight", "output_norm.weight"},
                           {"lm_head.weight", "output.weight"}};

const Names kLayerNames = {{"input_layernorm.weight", "attn_norm.weight"},
                           {"post_attention_layernorm.weight", "ffn_norm.weight"},
                           {"self_attn.q_proj.weight", "attn_q.weight"},
                           {"self_attn.q_a_proj.weight", "attn_q_a.weight"},
                           {"self_attn.q_a_layernorm.weight", "attn_q_a_norm.weight"},
                           {"self_attn.q_b_proj.weight", "attn_q_b.weight"},
                           {"self_attn.kv_a_proj_with_mqa.weight", "attn_kv_a_mqa.weight"},
                           {"self_attn.kv_a_layernorm.weight", "attn_kv_a_norm.weight"},
                           {"self_attn.kv_b_proj.weight", "attn_kv_b.weight"},
                           {"self_attn.o_proj.weight", "attn_output.weight"},
                           {"mlp.gate_proj.weight", "ffn_gate.weight"},
                           {"mlp.up_proj.weight", "ffn_up.weight"},
                           {"mlp.down_proj.weight", "ffn_down.weight"},
                           {"mlp.gate.weight", "ffn_gate_inp.weight"},
                           {"mlp.gate.e_score_correction_bias", "exp_probs_b.bias"},
                           {"mlp.shared_experts.gate_proj.weight", "ffn_gate_shexp.weight"},
                           {"mlp.shared_experts.up_proj.weight", "ffn_up_shexp.weight"},
                           {"mlp.shared_experts.down_proj.weight", "ffn_down_shexp.weight"}};

const Names kExpertNames = {{"gate_proj.weight", "ffn_gate_exps.weight"},
                            {"up_proj.weight", "ffn_up_exps.weight"},
                            {"down_proj.weight", "ffn_down_exps.weight"}};

constexpr std::string_view kLayers = "model.layers.";
constexpr std::string_view kExperts = "mlp.experts.";
constexpr std::string_view kKvB = ".self_attn.kv_b_proj.weight";

// "12.rest": 12, and text becomes "rest".
int64_t take_number(std::string_view& text) {
  int64_t number = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const auto length = static_cast<size_t>(end - text.data());
  if (error != std::errc() || length >= text.size()) return -1;
  text.remove_prefix(length + 1);
  return number;
}

std::string layer_prefix(const std::string& name) {
  std::string_view rest = std::string_view(name).substr(kLayers.size());
  return fmt::format("blk.{}.", take_number(rest));
}

}  // namespace

GgufPlace gguf_place(const std::string& name) {
  if (const auto found = kModelNames.find(name); found != kModelNames.end()) {
    return {std::string(found->second), -1};
  }
  if (!name.starts_with(kLayers)) return {};
  std::string_view rest = std::string_view(name).substr(kLayers.size());
  if (take_number(rest) < 0) return {};
  const std::string prefix = layer_prefix(name);
  if (!rest.starts_with(kExperts)) {
    const auto found = kLayerNames.find(rest);
    if (found == kLayerNames.end()) return {};
    return {prefix + std::string(found->second), -1};
  }
  rest.remove_prefix(kExperts.size());
  const int64_t expert = take_number(rest);
  const auto found = kExpertNames.find(rest);
  if (expert < 0 || found == kExpertNames.end()) return {};
  return {prefix + std::string(found->second), expert};
}

bool is_kv_b(const std::string& name) {
  return name.starts_with(kLayers) && name.ends_with(kKvB);
}

SplitKvB split_kv_b(const std::string& name) {
  const std::string prefix = layer_prefix(name);
  return {prefix + "attn_k_b.weight", prefix + "attn_v_b.weight"};
}

}  // namespace fathom::models::deepseek_v3
