#include "models/deepseek_v3/weights/tensor_list.h"

#include <fmt/format.h>

#include <algorithm>

namespace fathom::models::deepseek_v3 {
namespace {

Result<MlaWeights> walk_attention(WeightVisitor& in, const Config& config, const std::string& at) {
  const int64_t hidden = config.hidden_size;
  const int64_t heads = config.num_attention_heads;
  const int64_t q_size = heads * config.q_head_dim();
  MlaWeights attn;
  if (config.q_lora_rank == 0) {
    FATHOM_ASSIGN(attn.wq, in.matrix(at + "q_proj.weight", q_size, hidden, WeightUse::kLinear));
  } else {
    FATHOM_ASSIGN(attn.wq_a, in.matrix(at + "q_a_proj.weight", config.q_lora_rank, hidden,
                                       WeightUse::kLinear));
    FATHOM_ASSIGN(attn.q_norm, in.vector(at + "q_a_layernorm.weight", config.q_lora_rank));
    FATHOM_ASSIGN(attn.wq_b, in.matrix(at + "q_b_proj.weight", q_size, config.q_lora_rank,
                                       WeightUse::kLinear));
  }
  FATHOM_ASSIGN(attn.wkv_a, in.matrix(at + "kv_a_proj_with_mqa.weight", config.latent_dim(), hidden,
                                      WeightUse::kLinear));
  FATHOM_ASSIGN(attn.kv_norm, in.vector(at + "kv_a_layernorm.weight", config.kv_lora_rank));
  FATHOM_ASSIGN(attn.wkv_b, in.matrix(at + "kv_b_proj.weight",
                                      heads * (config.qk_nope_head_dim + config.v_head_dim),
                                      config.kv_lora_rank, WeightUse::kAttention));
  FATHOM_ASSIGN(attn.wo, in.matrix(at + "o_proj.weight", hidden, heads * config.v_head_dim,
                                   WeightUse::kLinear));
  return attn;
}

Result<MlpWeights> walk_mlp(WeightVisitor& in, int64_t hidden, int64_t intermediate,
                            const std::string& at, WeightUse use) {
  MlpWeights mlp;
  FATHOM_ASSIGN(mlp.w1, in.matrix(at + "gate_proj.weight", intermediate, hidden, use));
  FATHOM_ASSIGN(mlp.w2, in.matrix(at + "down_proj.weight", hidden, intermediate, use));
  FATHOM_ASSIGN(mlp.w3, in.matrix(at + "up_proj.weight", intermediate, hidden, use));
  return mlp;
}

Result<MoeWeights> walk_moe(WeightVisitor& in, const Config& config, const std::string& at) {
  MoeWeights moe;
  FATHOM_ASSIGN(moe.gate, in.matrix(at + "gate.weight", config.n_routed_experts, config.hidden_size,
                                    WeightUse::kRouter));
  if (config.gate_kind == FATHOM_GATE_NOAUX_TC) {
    FATHOM_ASSIGN(moe.bias,
                  in.vector(at + "gate.e_score_correction_bias", config.n_routed_experts));
  }
  for (int64_t expert = 0; expert < config.n_routed_experts; ++expert) {
    FATHOM_ASSIGN(const MlpWeights mlp,
                  walk_mlp(in, config.hidden_size, config.moe_intermediate_size,
                           fmt::format("{}experts.{}.", at, expert), WeightUse::kExpert));
    moe.w1.push_back(mlp.w1);
    moe.w2.push_back(mlp.w2);
    moe.w3.push_back(mlp.w3);
  }
  if (config.n_shared_experts > 0) {
    FATHOM_ASSIGN(moe.shared, walk_mlp(in, config.hidden_size,
                                       config.n_shared_experts * config.moe_intermediate_size,
                                       at + "shared_experts.", WeightUse::kLinear));
  }
  return moe;
}

Result<BlockWeights> walk_block(WeightVisitor& in, const Config& config, int64_t layer) {
  const std::string at = fmt::format("model.layers.{}.", layer);
  BlockWeights block;
  FATHOM_ASSIGN(block.attn_norm, in.vector(at + "input_layernorm.weight", config.hidden_size));
  FATHOM_ASSIGN(block.attn, walk_attention(in, config, at + "self_attn."));
  FATHOM_ASSIGN(block.ffn_norm,
                in.vector(at + "post_attention_layernorm.weight", config.hidden_size));
  if (config.is_moe_layer(layer)) {
    FATHOM_ASSIGN(block.moe, walk_moe(in, config, at + "mlp."));
  } else {
    FATHOM_ASSIGN(block.mlp, walk_mlp(in, config.hidden_size, config.intermediate_size, at + "mlp.",
                                      WeightUse::kLinear));
  }
  return block;
}

// The MTP layer follows the last one. Its embedding and head are stored again in the release; where
// a checkpoint leaves them out they are the model's own.
Result<MtpWeights> walk_mtp(WeightVisitor& in, const Config& config, const Weights& model) {
  const std::string at = fmt::format("model.layers.{}.", config.num_hidden_layers);
  const int64_t hidden = config.hidden_size;
  MtpWeights mtp;
  mtp.embed = model.embed;
  mtp.head = model.head;
  if (in.contains(at + "embed_tokens.weight")) {
    FATHOM_ASSIGN(mtp.embed, in.matrix(at + "embed_tokens.weight", config.vocab_size, hidden,
                                       WeightUse::kEmbedding));
  }
  if (in.contains(at + "shared_head.head.weight")) {
    FATHOM_ASSIGN(mtp.head, in.matrix(at + "shared_head.head.weight", config.vocab_size, hidden,
                                      WeightUse::kHead));
  }
  FATHOM_ASSIGN(mtp.enorm, in.vector(at + "enorm.weight", hidden));
  FATHOM_ASSIGN(mtp.hnorm, in.vector(at + "hnorm.weight", hidden));
  FATHOM_ASSIGN(mtp.eh_proj,
                in.matrix(at + "eh_proj.weight", hidden, 2 * hidden, WeightUse::kLinear));
  FATHOM_ASSIGN(mtp.block, walk_block(in, config, config.num_hidden_layers));
  FATHOM_ASSIGN(mtp.norm, in.vector(at + "shared_head.norm.weight", hidden));
  return mtp;
}

// Notes what is asked for.
class Lister final : public WeightVisitor {
 public:
  // Of a source; null: of one that leaves nothing out.
  explicit Lister(const TensorSource* source) : source_(source) {}

  bool contains(std::string_view name) const override {
    return source_ == nullptr || source_->contains(name);
  }
  Result<Weight> matrix(const std::string& name, int64_t n, int64_t k, WeightUse use) override {
    tensors.push_back({name, n, k, use});
    return Weight{};
  }
  Result<const float*> vector(const std::string& name, int64_t n) override {
    tensors.push_back({name, n, 0});
    return nullptr;
  }

  std::vector<TensorSpec> tensors;

 private:
  const TensorSource* source_;
};

std::vector<TensorSpec> list_all(const Config& config, const TensorSource* source) {
  Lister lister(source);
  const auto walked = walk_weights(config, lister);
  FATHOM_CHECK(walked.ok(), "a list of tensors cannot fail");
  return std::move(lister.tensors);
}

}  // namespace

Result<Weights> walk_weights(const Config& config, WeightVisitor& in) {
  Weights weights;
  const int64_t hidden = config.hidden_size;
  FATHOM_ASSIGN(weights.embed, in.matrix("model.embed_tokens.weight", config.vocab_size, hidden,
                                         WeightUse::kEmbedding));
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    FATHOM_ASSIGN(BlockWeights block, walk_block(in, config, layer));
    weights.blocks.push_back(std::move(block));
  }
  FATHOM_ASSIGN(weights.norm, in.vector("model.norm.weight", hidden));
  weights.head = weights.embed;
  if (!config.tie_word_embeddings) {
    FATHOM_ASSIGN(weights.head,
                  in.matrix("lm_head.weight", config.vocab_size, hidden, WeightUse::kHead));
  }
  if (config.num_nextn_predict_layers > 0) {
    FATHOM_ASSIGN(weights.mtp, walk_mtp(in, config, weights));
  }
  return weights;
}

std::vector<TensorSpec> list_tensors(const Config& config, const TensorSource& source) {
  return list_all(config, &source);
}

std::vector<TensorSpec> list_tensors(const Config& config) {
  return list_all(config, nullptr);
}

bool drop_absent_mtp(const TensorSource& source, Config& config) {
  if (config.num_nextn_predict_layers == 0) return false;
  const std::string mtp = fmt::format("model.layers.{}.", config.num_hidden_layers);
  const auto stored = [&](const TensorSpec& tensor) {
    return tensor.name.starts_with(mtp) && source.contains(tensor.name);
  };
  if (std::ranges::any_of(list_tensors(config), stored)) return false;
  config.num_nextn_predict_layers = 0;
  return true;
}

}  // namespace fathom::models::deepseek_v3
