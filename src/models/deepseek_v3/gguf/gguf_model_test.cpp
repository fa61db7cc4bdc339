#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "models/deepseek_v3/forward/memory_plan.h"
#include "models/deepseek_v3/gguf/gguf_config.h"
#include "models/deepseek_v3/gguf/gguf_names.h"
#include "models/deepseek_v3/gguf/gguf_source.h"
#include "models/deepseek_v3/gguf/gguf_writer.h"
#include "models/deepseek_v3/weights/synthetic.h"

namespace fathom::models::deepseek_v3 {
namespace {

namespace fs = std::filesystem;

TEST(GgufNames, FollowLlamaCpp) {
  EXPECT_EQ(gguf_place("lm_head.weight").tensor, "output.weight");
  EXPECT_EQ(gguf_place("model.layers.12.self_attn.q_a_proj.weight").tensor,
            "blk.12.attn_q_a.weight");
  const auto expert = gguf_place("model.layers.3.mlp.experts.17.down_proj.weight");
  EXPECT_EQ(expert.tensor, "blk.3.ffn_down_exps.weight");
  EXPECT_EQ(expert.expert, 17);
  EXPECT_EQ(gguf_place("model.layers.3.mlp.gate.e_score_correction_bias").tensor,
            "blk.3.exp_probs_b.bias");
  EXPECT_EQ(split_kv_b("model.layers.4.self_attn.kv_b_proj.weight").k, "blk.4.attn_k_b.weight");
  for (const char* other : {"", "model.layers.", "model.layers.x.y", "model.layers.3",
                            "model.layers.3.mlp.experts.", "model.layers.3.mlp.experts.1"}) {
    EXPECT_EQ(gguf_place(other).tensor, "") << other;
  }
}

class GgufModelTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "fathom-gguf-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    config_ = Config::parse(synthetic_config("tiny").value()).value();
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::unique_ptr<GgufFile> write(GgmlType type) {
    const auto path = directory_ / (std::string(to_string(type)) + ".gguf");
    const auto status = write_gguf(source_, config_, type, {}, path, {});
    EXPECT_TRUE(status.ok()) << status.error().message;
    return GgufFile::open(path).value();
  }
  static std::vector<float> rows(const TensorSource& source, const TensorSpec& spec) {
    const auto matrix = source.matrix(spec.name, spec.n, spec.k);
    EXPECT_TRUE(matrix.ok()) << matrix.error().message;
    std::vector<float> values(static_cast<size_t>(spec.n * spec.k));
    EXPECT_TRUE(source.read_rows(spec.name, *matrix, 0, spec.n, values.data()).ok());
    return values;
  }

  fs::path directory_;
  SyntheticSource source_;
  Config config_;
};

TEST_F(GgufModelTest, Bf16ReadsBackTheSame) {
  auto file = write(GgmlType::kBF16);
  const auto text = config_of_gguf(*file);
  ASSERT_TRUE(text.ok()) << text.error().message;
  const auto config = Config::parse(*text);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->qk_nope_head_dim, config_.qk_nope_head_dim);
  EXPECT_EQ(config->v_head_dim, config_.v_head_dim);
  EXPECT_EQ(config->n_group, config_.n_group);
  EXPECT_EQ(config->gate_kind, config_.gate_kind);
  EXPECT_EQ(config->routed_scaling_factor, config_.routed_scaling_factor);
  EXPECT_EQ(config->rms_norm_eps, config_.rms_norm_eps);
  const GgufSource back(std::move(file), *config);
  for (const auto& spec : list_tensors(*config, back)) {
    if (spec.is_vector()) {
      EXPECT_EQ(back.vector(spec.name, spec.n).value(), source_.vector(spec.name, spec.n).value());
    } else {
      EXPECT_EQ(rows(back, spec), rows(source_, spec)) << spec.name;
    }
  }
}

TEST_F(GgufModelTest, QuantisedOnesSuitOurFormats) {
  const GgufSource eight(write(GgmlType::kQ8_0), config_);
  const GgufSource four(write(GgmlType::kQ4_0), config_);
  const auto dtype = [](const GgufSource& source, const std::string& name, int64_t n, int64_t k) {
    return source.matrix(name, n, k).value().dtype;
  };
  EXPECT_EQ(dtype(eight, "model.embed_tokens.weight", 512, 128), FATHOM_BF16);
  EXPECT_EQ(dtype(eight, "model.layers.1.mlp.experts.0.up_proj.weight", 64, 128), FATHOM_I8);
  EXPECT_EQ(dtype(four, "model.layers.1.mlp.experts.0.up_proj.weight", 64, 128), FATHOM_I4);
  EXPECT_EQ(dtype(four, "model.layers.1.self_attn.kv_b_proj.weight", 256, 64), FATHOM_I8);
  EXPECT_EQ(dtype(four, "model.layers.1.mlp.gate.weight", 16, 128), FATHOM_F32);
  const auto wrong = eight.matrix("model.layers.1.mlp.experts.0.up_proj.weight", 64, 256);
  ASSERT_FALSE(wrong.ok());
  EXPECT_NE(wrong.error().message.find("blk.1.ffn_up_exps.weight: expected shape [256, 64, 16]"),
            std::string::npos)
      << wrong.error().message;
}

TEST_F(GgufModelTest, RoundedModelsCacheInBf16) {
  const GgufSource whole(write(GgmlType::kBF16), config_);
  const GgufSource eight(write(GgmlType::kQ8_0), config_);
  const auto kv_dtype = [this](const GgufSource& source, WeightFormat format) {
    return choose_kv_dtype(source, config_, format, FATHOM_F32).value();
  };
  EXPECT_EQ(kv_dtype(whole, WeightFormat::kAsStored), FATHOM_F32);
  EXPECT_EQ(kv_dtype(whole, WeightFormat::kFp8), FATHOM_F32);
  EXPECT_EQ(kv_dtype(whole, WeightFormat::kInt4), FATHOM_BF16);
  EXPECT_EQ(kv_dtype(eight, WeightFormat::kAsStored), FATHOM_BF16);
}

TEST_F(GgufModelTest, WhatItCannotSayIsNamed) {
  config_.moe_layer_freq = 2;
  const auto status = write_gguf(source_, config_, GgmlType::kBF16, {}, directory_ / "no.gguf", {});
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().message.find("moe_layer_freq"), std::string::npos);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
