// The cost model against the published numbers of DeepSeek-V3: 671B parameters, 37B a token.
#include "models/deepseek_v3/cost.h"

#include <gtest/gtest.h>

#include <cmath>

namespace fathom::models::deepseek_v3 {
namespace {

Config published_config() {
  Config config;
  config.vocab_size = 129280;
  config.hidden_size = 7168;
  config.intermediate_size = 18432;
  config.moe_intermediate_size = 2048;
  config.num_hidden_layers = 61;
  config.num_attention_heads = 128;
  config.q_lora_rank = 1536;
  config.kv_lora_rank = 512;
  config.qk_nope_head_dim = 128;
  config.qk_rope_head_dim = 64;
  config.v_head_dim = 128;
  config.n_routed_experts = 256;
  config.n_shared_experts = 1;
  config.first_k_dense_replace = 3;
  config.num_experts_per_tok = 8;
  return config;
}

Weight weight(int64_t n, int64_t k, fathom_dtype dtype) {
  Weight w = {};
  w.dtype = dtype;
  w.block_n = w.block_k = 128;
  w.n = n;
  w.k = k;
  return w;
}

MlpWeights mlp(const Config& config, int64_t inner, fathom_dtype dtype) {
  return {.w1 = weight(inner, config.hidden_size, dtype),
          .w2 = weight(config.hidden_size, inner, dtype),
          .w3 = weight(inner, config.hidden_size, dtype)};
}

Weights weights_of(const Config& config, fathom_dtype dtype) {
  const int64_t hidden = config.hidden_size;
  const int64_t heads = config.num_attention_heads;
  Weights weights;
  weights.head = weight(config.vocab_size, hidden, FATHOM_BF16);
  for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
    BlockWeights block;
    block.attn.wq_a = weight(config.q_lora_rank, hidden, dtype);
    block.attn.wq_b = weight(heads * config.q_head_dim(), config.q_lora_rank, dtype);
    block.attn.wkv_a = weight(config.latent_dim(), hidden, dtype);
    block.attn.wkv_b = weight(heads * 256, config.kv_lora_rank, dtype);
    block.attn.wo = weight(hidden, heads * config.v_head_dim, dtype);
    if (config.is_moe_layer(layer)) {
      const MlpWeights expert = mlp(config, config.moe_intermediate_size, dtype);
      block.moe.emplace();
      block.moe->gate = weight(config.n_routed_experts, hidden, FATHOM_BF16);
      block.moe->w1.push_back(expert.w1);
      block.moe->w2.push_back(expert.w2);
      block.moe->w3.push_back(expert.w3);
      block.moe->shared = expert;
    } else {
      block.mlp = mlp(config, config.intermediate_size, dtype);
    }
    weights.blocks.push_back(std::move(block));
  }
  return weights;
}

class Cost : public ::testing::Test {
 protected:
  CostModel cost(fathom_dtype dtype) const {
    return CostModel(config_, weights_of(config_, dtype), FATHOM_BF16, false);
  }

  const Config config_ = published_config();
};

TEST_F(Cost, OneTokenReadsTheActiveParameters) {
  // 36.6B active parameters with the head; FP8 but for head and routers.
  EXPECT_NEAR(cost(FATHOM_F8_E4M3).decode_bytes(1, 0), 36.6e9 + 0.93e9, 0.4e9);
  EXPECT_NEAR(cost(FATHOM_BF16).decode_bytes(1, 0), 2 * 36.6e9, 0.4e9);
  EXPECT_NEAR(cost(FATHOM_I4).decode_bytes(1, 0) / cost(FATHOM_I8).decode_bytes(1, 0), 0.52, 0.02);
}

TEST_F(Cost, ManyTokensReadEachDistinctExpertOnce) {
  const CostModel fp8 = cost(FATHOM_F8_E4M3);
  EXPECT_NEAR(fp8.decode_bytes(32, 0), 433e9, 6e9);
  EXPECT_NEAR(fp8.decode_bytes(128, 0), 659e9, 6e9);
}

TEST_F(Cost, ContextReadsItsLatents) {
  const CostModel fp8 = cost(FATHOM_F8_E4M3);
  EXPECT_DOUBLE_EQ(fp8.decode_bytes(4, 1000) - fp8.decode_bytes(4, 0), 4 * 1000 * 70272.0);
}

TEST_F(Cost, PrefillIsTwoOperationsAParameterAndAttention) {
  const CostModel fp8 = cost(FATHOM_F8_E4M3);
  // 71.4 GFLOP a token without the head, and 2.5M for each token seen before and half of S.
  EXPECT_NEAR(fp8.prefill_flops(1000, 0), 1000 * (71.4e9 + 2.5e6 * 1000), 0.02e15);
  const double behind = fp8.prefill_flops(1000, 4000) - fp8.prefill_flops(1000, 0);
  EXPECT_NEAR(behind, 1000 * 4000 * 2 * 2.5e6 * 60 / 61, 0.01 * behind);
}

TEST_F(Cost, PromptTokensNeedOnlyTheLatentsOfTheLastBlock) {
  const Weights weights = weights_of(config_, FATHOM_F8_E4M3);
  const CostModel plain(config_, weights, FATHOM_BF16, false);
  const CostModel drafting(config_, weights, FATHOM_BF16, true);
  // q 48.8M and out 117.4M weights of attention, nine experts of 44.04M, the router's 1.8M; scores
  // of 128 heads of 192 + 128 for 500 tokens on average.
  const double spared = 999 * 2 * (166.2e6 + 398.2e6) + 499500.0 * 2 * 128 * 320;
  EXPECT_NEAR(drafting.prefill_flops(1000, 0) - plain.prefill_flops(1000, 0), spared,
              0.001 * spared);
  EXPECT_DOUBLE_EQ(drafting.prefill_flops(1, 500), plain.prefill_flops(1, 500));
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
