#include "models/deepseek_v3/sharding/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json_file.h"
#include "models/deepseek_v3/testing/examples.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom::models::deepseek_v3 {
namespace {

using ::testing::HasSubstr;

const TensorPart* find(const std::vector<TensorPart>& parts, const std::string& name) {
  const auto found = std::ranges::find_if(
      parts, [&](const TensorPart& part) { return part.tensor->spec.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

TEST(PlannedTensors, ConfigSaysWhatTheCheckpointHolds) {
  const Config config = tiny_config();
  const auto source = CheckpointSource::open(kTiny, config).value();
  const auto held = tensor_manifest(config, *source).value();
  const auto said = tensor_manifest(config).value();
  ASSERT_EQ(held.size(), said.size());
  for (size_t i = 0; i < held.size(); ++i) {
    EXPECT_EQ(held[i].spec.name, said[i].spec.name);
    EXPECT_EQ(held[i].stored.dtype, said[i].stored.dtype) << said[i].spec.name;
    EXPECT_TRUE(same_format(held[i].stored, said[i].stored)) << said[i].spec.name;
  }
}

TEST(PlannedTensors, OneRanksFileBytesAreTheCheckpoints) {
  const auto index = read_json_file(kTiny / "model.safetensors.index.json").value();
  const ShardPlan one = plan(tiny_config(), "pp=1");
  size_t bytes = 0;
  for (const auto& part : one.parts_of(0)) bytes += part.file_bytes;
  EXPECT_EQ(bytes, index["metadata"]["total_size"].get<size_t>());
}

TEST(PlannedTensors, RefusesWhatNoMachineCouldList) {
  Config config = v3_config();
  config.num_hidden_layers = 4096;
  config.n_routed_experts = 1 << 14;
  const auto many = tensor_manifest(config);
  ASSERT_FALSE(many.ok());
  EXPECT_THAT(many.error().message, HasSubstr("expected a model of at most 4 million tensors"));
  config = v3_config();
  config.hidden_size = config.intermediate_size = 1 << 20;
  config.num_hidden_layers = 4096;
  config.n_routed_experts = 0;
  EXPECT_FALSE(tensor_manifest(config).ok());
}

// DeepSeek-V3's README: 671B parameters, and 11.5B of the MTP layer's own (its embedding and head
// are the model's).
TEST(PlannedTensors, V3HasThePublishedParameters) {
  double model = 0;
  double mtp = 0;
  const auto tensors = tensor_manifest(v3_config()).value();
  for (const auto& [spec, stored] : tensors) {
    const double count =
        static_cast<double>(spec.n) * static_cast<double>(spec.is_vector() ? 1 : spec.k);
    const bool copy = spec.name == "model.layers.61.embed_tokens.weight" ||
                      spec.name == "model.layers.61.shared_head.head.weight";
    if (spec.name.starts_with("model.layers.61.")) {
      mtp += copy ? 0 : count;
    } else {
      model += count;
    }
  }
  EXPECT_NEAR(model, 671.0e9, 0.05e9);
  EXPECT_NEAR(mtp, 11.5e9, 0.15e9);
}

TEST(Shard, RankNineOfTwoStagesOfEight) {
  const ShardPlan v3_plan = plan(v3_config(), "pp=2,tp=8");
  const auto parts = v3_plan.parts_of(9);
  const auto expect = [&](const std::string& name, Range rows, Range columns) {
    const TensorPart* part = find(parts, name);
    ASSERT_NE(part, nullptr) << name;
    EXPECT_EQ(part->rows, rows) << name;
    EXPECT_EQ(part->columns, columns) << name;
  };
  const std::string at = "model.layers.60.";
  expect(at + "self_attn.q_a_proj.weight", {0, 1536}, {0, 7168});
  expect(at + "self_attn.q_b_proj.weight", {16 * 192, 32 * 192}, {0, 1536});
  expect(at + "self_attn.kv_b_proj.weight", {16 * 256, 32 * 256}, {0, 512});
  expect(at + "self_attn.kv_a_proj_with_mqa.weight", {0, 576}, {0, 7168});
  expect(at + "self_attn.o_proj.weight", {0, 7168}, {16 * 128, 32 * 128});
  expect(at + "mlp.gate.weight", {0, 256}, {0, 7168});
  expect(at + "mlp.shared_experts.gate_proj.weight", {256, 512}, {0, 7168});
  expect(at + "mlp.shared_experts.down_proj.weight", {0, 7168}, {256, 512});
  expect(at + "mlp.experts.32.up_proj.weight", {0, 2048}, {0, 7168});
  expect(at + "mlp.experts.63.down_proj.weight", {0, 7168}, {0, 2048});
  expect(at + "input_layernorm.weight", {0, 7168}, {0, 0});
  expect("lm_head.weight", {16160, 32320}, {0, 7168});
  expect("model.layers.61.shared_head.head.weight", {16160, 32320}, {0, 7168});
  for (const char* elsewhere :
       {"model.embed_tokens.weight", "model.layers.0.input_layernorm.weight",
        "model.layers.60.mlp.experts.31.up_proj.weight",
        "model.layers.60.mlp.experts.64.up_proj.weight"}) {
    EXPECT_EQ(find(parts, elsewhere), nullptr) << elsewhere;
  }
}

TEST(Shard, ExpertsMayBeSplitInstead) {
  const ShardPlan split = plan(v3_config(), "dp=2,tp=8,ep=4");  // each over four ranks
  const auto parts = split.parts_of(6);                         // expert index 1, slice 2
  const TensorPart* down = find(parts, "model.layers.3.mlp.experts.64.down_proj.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->columns, (Range{1024, 1536}));
  EXPECT_EQ(down->file_bytes, 7168u * 512 + 56 * 4 * 4);
  EXPECT_EQ(find(parts, "model.layers.3.mlp.experts.0.down_proj.weight"), nullptr);
}

TEST(Shard, CopiesOfTheSharedExpertAreWhereTheyArePlaced) {
  const ShardPlan ep320 = plan(v3_config(), "dp=320,redundant=32,shared=32");
  const std::string shared = "model.layers.3.mlp.shared_experts.up_proj.weight";
  const std::string routed = "model.layers.3.mlp.experts.5.up_proj.weight";
  EXPECT_EQ(find(ep320.parts_of(5), shared), nullptr);
  EXPECT_NE(find(ep320.parts_of(5), routed), nullptr);
  ASSERT_NE(find(ep320.parts_of(319), shared), nullptr);
  EXPECT_EQ(find(ep320.parts_of(319), shared)->rows, (Range{0, 2048}));
  EXPECT_EQ(find(ep320.parts_of(319), routed), nullptr);
}

TEST(Shard, LoadedBytesAreThoseOfTheFormat) {
  const std::string name = "model.layers.3.self_attn.o_proj.weight";
  const auto bytes = [&](WeightFormat format) {
    const ShardPlan sharded = plan(v3_config(), "tp=8", format);
    return find(sharded.parts_of(0), name)->loaded_bytes;
  };
  EXPECT_EQ(bytes(WeightFormat::kAsStored), 7168u * 2048 + 56 * 16 * 4);
  EXPECT_EQ(bytes(WeightFormat::kBf16), 7168u * 2048 * 2);
  EXPECT_EQ(bytes(WeightFormat::kInt4), 7168u * 2048 / 2 + 7168 * 64 * 4);
}

TEST(Shard, ReadsTheEmbeddingTwiceWhereTheEndNeedsIt) {
  Config config = tiny_config();
  auto tensors = tensor_manifest(config).value();
  std::erase_if(tensors, [](const ManifestEntry& tensor) {
    return tensor.spec.name == "model.layers.4.embed_tokens.weight";
  });
  const auto sharded = ShardPlan::make(config, ParallelLayout::parse("pp=3").value(), tensors,
                                       WeightFormat::kAsStored);
  EXPECT_NE(find(sharded->parts_of(0), "model.embed_tokens.weight"), nullptr);
  EXPECT_EQ(find(sharded->parts_of(1), "model.embed_tokens.weight"), nullptr);
  EXPECT_NE(find(sharded->parts_of(2), "model.embed_tokens.weight"), nullptr);
}

TEST(Shard, CutsBetweenBlocksThatShareAScale) {
  const auto refusal = [](const Config& config, const char* layout, WeightFormat format) {
    const auto made = try_plan(config, layout, format);
    return made ? std::string() : made.error().message;
  };
  const auto stored = WeightFormat::kAsStored;
  for (const char* fits : {"tp=2", "tp=4", "tp=8", "tp=16", "tp=16,ep=1"}) {
    EXPECT_EQ(refusal(v3_config(), fits, stored), "") << fits;
  }
  EXPECT_THAT(refusal(v3_config(), "tp=32", stored),
              HasSubstr("--parallel: tp=32: expected the 2048 rows of "
                        "model.layers.3.mlp.shared_experts.gate_proj.weight"));
  EXPECT_THAT(
      refusal(v3_config(), "tp=32", stored),
      HasSubstr("cut between blocks of 128 that share a scale, got parts of 64; the nearest "
                "is 16, or another format by --weights"));
  EXPECT_EQ(refusal(v3_config(), "tp=32", WeightFormat::kBf16), "");
  // What is suggested fits in every way.
  EXPECT_THAT(refusal(v3_config(), "tp=48", stored), HasSubstr("got 48; the nearest is 16"));
  EXPECT_THAT(refusal(v3_config(), "tp=48", WeightFormat::kBf16),
              HasSubstr("nearest are 32 and 64"));
  // Six heads of 48 rows.
  EXPECT_THAT(refusal(tiny_config(), "tp=2", stored), HasSubstr("tp=2: expected the "));
  EXPECT_THAT(refusal(tiny_config(), "tp=2", stored),
              HasSubstr("the nearest is 1, or another format"));
  EXPECT_EQ(refusal(tiny_config(), "tp=2", WeightFormat::kBf16), "");
  EXPECT_THAT(refusal(tiny_config(), "tp=3,redundant=2", WeightFormat::kBf16),
              HasSubstr("tp=3: expected a divisor of the 64 rows of "
                        "model.layers.1.mlp.shared_experts.gate_proj.weight, got 3 parts; the "
                        "nearest is 2"));
}

TEST(Shard, V3sStagesAreEven) {
  const ShardPlan two = plan(v3_config(), "pp=2,tp=8");
  EXPECT_EQ(two.stages()[0].begin, 0);
  EXPECT_EQ(two.stages()[0].end, two.stages()[1].begin);
  EXPECT_EQ(two.stages()[1].end, 61);
  const auto bytes = [&](int64_t rank) {
    double sum = 0;
    for (const auto& part : two.parts_of(rank)) sum += static_cast<double>(part.loaded_bytes);
    return sum;
  };
  EXPECT_NEAR(bytes(0) / bytes(8), 1, 0.04) << "within a layer of each other";
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
