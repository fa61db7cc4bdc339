#include "models/deepseek_v3/config/config.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "models/deepseek_v3/config/rope.h"
#include "models/deepseek_v3/weights/synthetic.h"

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

json with(const json& base, const json& changes) {
  json config = base;
  config.merge_patch(changes);  // null deletes
  return config;
}

// What transformers 5 writes in place of rope_theta and rope_scaling.
json rope_parameters() {
  json rope = released()["rope_scaling"];
  rope.erase("type");
  rope["rope_type"] = "yarn";
  rope["rope_theta"] = 10000.0;
  return rope;
}

TEST(Config, ReadsRopeParameters) {
  json config = with(released(), {{"rope_scaling", nullptr}, {"rope_theta", nullptr}});
  config["rope_parameters"] = rope_parameters();
  const auto expected = Config::parse(released());
  auto parsed = Config::parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->yarn, expected->yarn);
  EXPECT_EQ(parsed->rope_theta, expected->rope_theta);
  EXPECT_EQ(rope_frequencies(*parsed), rope_frequencies(*expected));
  EXPECT_EQ(parsed->softmax_scale(), expected->softmax_scale());

  config["rope_parameters"] = {{"rope_theta", 5e5}, {"rope_type", "default"}};
  parsed = Config::parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_FALSE(parsed->yarn);
  EXPECT_EQ(parsed->rope_theta, 5e5);

  // Both forms, when they say the same; a factor that follows from the others.
  config = released();
  config["rope_parameters"] = rope_parameters();
  config["rope_parameters"].update({{"attention_factor", 1.0}, {"partial_rotary_factor", 1}});
  EXPECT_TRUE(Config::parse(config).ok());
}

TEST(Config, RefusesRopeItDoesNotKnow) {
  const std::pair<json, const char*> cases[] = {
      {{{"rope_type", "llama3"}}, "rope_parameters.rope_type"},
      {{{"rope_theta", 20000}}, "rope_theta"},
      {{{"factor", 20}}, "rope_parameters"},
      {{{"attention_factor", 2.5}}, "rope_parameters.attention_factor"},
      {{{"truncate", false}}, "rope_parameters.truncate"},
      {{{"partial_rotary_factor", 0.5}}, "rope_parameters.partial_rotary_factor"},
      {{{"type", "linear"}}, "rope_parameters.rope_type"},
      {{{"rope_type", nullptr}}, "rope_parameters.rope_type"},
      {{{"low_freq_factor", 4}}, "rope_parameters.low_freq_factor"},
      {{{"full_attention", {{"rope_theta", 1e4}}}}, "rope_parameters.full_attention"},
  };
  for (const auto& [change, where] : cases) {
    json config = released();
    config["rope_parameters"] = with(rope_parameters(), change);
    const auto parsed = Config::parse(config);
    ASSERT_FALSE(parsed.ok()) << change;
    EXPECT_EQ(parsed.error().where, where) << parsed.error().message;
  }
}

TEST(Config, AbsentGateFieldsMeanWhatV3sClassMeans) {
  const auto expected = Config::parse(released());
  json config = released();
  for (const char* name : {"topk_method", "scoring_func", "norm_topk_prob", "n_group", "topk_group",
                           "routed_scaling_factor", "first_k_dense_replace", "moe_layer_freq",
                           "n_shared_experts", "n_routed_experts", "q_lora_rank", "rope_theta"}) {
    config.erase(name);
  }
  const auto parsed = Config::parse(config);
  ASSERT_TRUE(parsed.ok()) << parsed.error().message;
  EXPECT_EQ(parsed->gate_kind, FATHOM_GATE_NOAUX_TC);
  EXPECT_TRUE(parsed->norm_topk_prob);
  EXPECT_EQ(parsed->n_group, expected->n_group);
  EXPECT_EQ(parsed->topk_group, expected->topk_group);
  EXPECT_EQ(parsed->routed_scaling_factor, expected->routed_scaling_factor);
  EXPECT_EQ(parsed->first_k_dense_replace, expected->first_k_dense_replace);
  EXPECT_EQ(parsed->n_shared_experts, expected->n_shared_experts);
  EXPECT_EQ(parsed->n_routed_experts, expected->n_routed_experts);
  EXPECT_EQ(parsed->q_lora_rank, expected->q_lora_rank);
  // Null is none where the classes take it so.
  json dense = released();
  dense.update({{"n_routed_experts", nullptr}, {"q_lora_rank", nullptr}});
  EXPECT_EQ(Config::parse(dense)->n_routed_experts, 0);
  EXPECT_EQ(Config::parse(dense)->q_lora_rank, 0);
  // V2's class has other defaults.
  json v2 = with(released(), {{"model_type", "deepseek_v2"},
                              {"topk_method", nullptr},
                              {"scoring_func", nullptr},
                              {"norm_topk_prob", nullptr},
                              {"n_group", nullptr},
                              {"topk_group", nullptr},
                              {"routed_scaling_factor", nullptr}});
  EXPECT_EQ(Config::parse(v2)->gate_kind, FATHOM_GATE_SOFTMAX);
  EXPECT_FALSE(Config::parse(v2)->norm_topk_prob);
  EXPECT_EQ(Config::parse(v2)->routed_scaling_factor, 1);
}

TEST(Config, RefusesFieldsThatMayChangeTheModel) {
  const std::pair<const char*, json> cases[] = {
      {"index_topk", 2048},
      {"index_n_heads", 64},
      {"sliding_window", 4096},
      {"rope_interleave", false},
      {"mlp_bias", true},
      {"attn_logit_softcapping", 50.0},
      {"use_qk_norm", true},
      {"partial_rotary_factor", 0.5},
      {"is_encoder_decoder", true},
      {"pruned_heads", {{"0", {1}}}},
      {"head_dim", 32},
      {"qk_head_dim", 128},
      {"num_local_experts", 128},
      {"compression_config", {{"format", "int"}}},
      {"vision_config", json::object()},
  };
  for (const auto& [name, value] : cases) {
    json config = released();
    config[name] = value;
    const auto parsed = Config::parse(config);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.error().where, name) << parsed.error().message;
    EXPECT_EQ(parsed.error().code, ErrorCode::kUnsupported);
    config[name] = nullptr;
    EXPECT_TRUE(Config::parse(config).ok()) << name;
  }
  const std::pair<const char*, json> of_quantization[] = {
      {"activation_scheme", "static"}, {"kv_cache_scheme", {{"num_bits", 8}}}, {"bits", 4}};
  for (const auto& [name, value] : of_quantization) {
    json config = released();
    config["quantization_config"][name] = value;
    const auto parsed = Config::parse(config);
    ASSERT_FALSE(parsed.ok()) << name;
    EXPECT_EQ(parsed.error().where, std::string("quantization_config.") + name);
  }
}

// Fields of the releases, of transformers' PretrainedConfig and of tools that train.
TEST(Config, PassesWhatChangesNothing) {
  json config = released();
  config.update({{"_name_or_path", "x"},
                 {"_attn_implementation_autoset", true},
                 {"add_cross_attention", false},
                 {"attention_dropout", 0.0},
                 {"auto_map", {{"AutoConfig", "configuration_deepseek.DeepseekV3Config"}}},
                 {"aux_loss_alpha", 0.001},
                 {"bad_words_ids", nullptr},
                 {"chunk_size_feed_forward", 0},
                 {"dtype", "bfloat16"},
                 {"ep_size", 1},
                 {"head_dim", 64},
                 {"id2label", {{"0", "LABEL_0"}}},
                 {"initializer_range", 0.02},
                 {"is_decoder", false},
                 {"num_local_experts", 256},
                 {"pad_token_id", 2},
                 {"pretraining_tp", 1},
                 {"pruned_heads", json::object()},
                 {"qk_head_dim", 192},
                 {"rope_interleave", true},
                 {"seq_aux", true},
                 {"temperature", 1.0},
                 {"transformers_version", "5.0.0"},
                 {"unsloth_fixed", true},
                 {"use_cache", true}});
  config["quantization_config"].update(
      {{"scale_fmt", "ue8m0"}, {"modules_to_not_convert", {"lm_head"}}, {"dequantize", false}});
  const auto parsed = Config::parse(config);
  EXPECT_TRUE(parsed.ok()) << parsed.error().message;
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
