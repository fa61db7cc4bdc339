#include "models/deepseek_v3/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "models/deepseek_v3/rope.h"
#include "models/deepseek_v3/synthetic.h"

namespace fathom::models::deepseek_v3 {
namespace {

using nlohmann::json;

// The released V3's own values (DeepSeek-V3 paper, section 4.2, and its config.json).
json released() {
  return read_json_file(FATHOM_TEST_DATA "/deepseek-v3-config.json").value();
}

json without_scaling() {
  json config = released();
  config["rope_scaling"] = nullptr;
  return config;
}

TEST(Config, TheSyntheticV3IsTheReleasedOneWithoutItsFormat) {
  json expected = released();
  for (const char* name : {"quantization_config", "attention_bias"}) expected.erase(name);
  const json synthetic = synthetic_config("v3").value();
  for (const auto& [name, value] : expected.items()) {
    EXPECT_EQ(synthetic.value(name, json()), value) << name;
  }
}

TEST(Config, ReadsTheReleasedOne) {
  const auto config = Config::parse(released());
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->num_hidden_layers, 61);
  EXPECT_EQ(config->latent_dim(), 576);
  EXPECT_EQ(config->q_head_dim(), 192);
  EXPECT_EQ(config->gate_kind, FATHOM_GATE_NOAUX_TC);
  EXPECT_FALSE(config->is_moe_layer(2));
  EXPECT_TRUE(config->is_moe_layer(3));
  EXPECT_EQ(config->eos_token_ids, std::vector<int32_t>{1});
  EXPECT_EQ(config->stored_weights, WeightFormat::kFp8);
}

TEST(Config, SoftmaxScaleHasYarnsMscaleSquared) {
  EXPECT_FLOAT_EQ(Config::parse(without_scaling())->softmax_scale(),
                  static_cast<float>(1 / std::sqrt(192.0)));
  const double mscale = 0.1 * std::log(40.0) + 1;
  EXPECT_FLOAT_EQ(Config::parse(released())->softmax_scale(),
                  static_cast<float>(mscale * mscale / std::sqrt(192.0)));
}

TEST(Config, NamesTheFieldItDoesNotSupport) {
  struct Case {
    const char* field;
    json value;
    const char* says;
  };
  const Case cases[] = {
      {"model_type", "llama", "deepseek_v3"},
      {"hidden_size", -1, "hidden_size"},
      {"hidden_size", "7168", "hidden_size"},
      {"hidden_size", 1e300, "hidden_size"},
      {"hidden_size", 18446744073709551615ULL, "hidden_size"},
      {"vocab_size", nullptr, "vocab_size"},
      {"scoring_func", "tanh", "scoring_func"},
      {"topk_method", "random", "topk_method"},
      {"n_group", 7, "n_group"},
      {"topk_group", 9, "topk_group"},
      {"num_experts_per_tok", 0, "num_experts_per_tok"},
      {"num_key_value_heads", 8, "num_key_value_heads"},
      {"qk_rope_head_dim", 63, "qk_rope_head_dim"},
      {"hidden_act", "gelu", "hidden_act"},
      {"attention_bias", true, "attention_bias"},
      {"rope_scaling", {{"type", "linear"}, {"factor", 2}}, "rope_scaling.type"},
      {"rope_scaling", {{"type", "yarn"}, {"factor", "x"}}, "rope_scaling.factor"},
      {"quantization_config", {{"quant_method", "awq"}}, "quantization_config.quant_method"},
      {"eos_token_id", 129280, "eos_token_id"},
      {"num_nextn_predict_layers", 2, "num_nextn_predict_layers"},
  };
  for (const auto& wrong : cases) {
    json config = released();
    config[wrong.field] = wrong.value;
    const auto parsed = Config::parse(config);
    ASSERT_FALSE(parsed.ok()) << wrong.field << " " << wrong.value;
    EXPECT_NE(parsed.error().message.find(wrong.says), std::string::npos) << parsed.error().message;
    EXPECT_NE(parsed.error().message.find("expected"), std::string::npos);
  }
}

TEST(Config, ReadsFathomsOwnFormats) {
  const auto parsed = [](json quantization) {
    json config = released();
    quantization["quant_method"] = "fathom";
    config["quantization_config"] = std::move(quantization);
    const auto result = Config::parse(config);
    return result ? std::string() : result.error().message;
  };
  EXPECT_EQ(parsed({{"weights", "int8"}, {"group_size", 128}}), "");
  EXPECT_EQ(parsed({{"weights", "int4"}, {"group_size", 32}}), "");
  EXPECT_NE(parsed({{"weights", "int3"}}).find("quantization_config.weights"), std::string::npos);
  EXPECT_NE(parsed({{"weights", "int4"}, {"group_size", 128}}).find("group_size"),
            std::string::npos);
  EXPECT_NE(parsed({{"weights", "int4"}}).find("group_size"), std::string::npos);
}

TEST(Rope, FrequenciesWithoutScalingFallGeometrically) {
  const auto config = Config::parse(without_scaling());
  const auto frequencies = rope_frequencies(*config);
  ASSERT_EQ(frequencies.size(), 32u);
  EXPECT_DOUBLE_EQ(frequencies[0], 1.0);
  EXPECT_NEAR(frequencies[31], std::pow(10000.0, -62.0 / 64), 1e-15);
}

// By hand for the released values: the ramp runs from pair floor(10.24) = 10 to ceil(22.5) = 23.
TEST(Rope, YarnKeepsFastPairsAndSlowsTheOthers) {
  const auto frequencies = rope_frequencies(*Config::parse(released()));
  const auto plain = rope_frequencies(*Config::parse(without_scaling()));
  for (size_t pair = 0; pair <= 10; ++pair) EXPECT_DOUBLE_EQ(frequencies[pair], plain[pair]);
  for (size_t pair = 23; pair < 32; ++pair) {
    EXPECT_DOUBLE_EQ(frequencies[pair], plain[pair] / 40);
  }
  const double slowed = 3.0 / 13;
  EXPECT_NEAR(frequencies[13], plain[13] * (1 - slowed) + plain[13] / 40 * slowed, 1e-12);
}

TEST(Rope, TableHoldsCosinesThenSines) {
  const auto config = Config::parse(without_scaling());
  const auto table = rope_table(*config, 3);
  ASSERT_EQ(table.size(), 3u * 64);
  EXPECT_FLOAT_EQ(table[0], 1);
  EXPECT_FLOAT_EQ(table[32], 0);
  EXPECT_FLOAT_EQ(table[2 * 64], static_cast<float>(std::cos(2.0)));
  EXPECT_FLOAT_EQ(table[2 * 64 + 32], static_cast<float>(std::sin(2.0)));
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
