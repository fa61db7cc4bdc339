#include "models/deepseek_v3/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json_file.h"
#include "models/deepseek_v3/checkpoint_source.h"
#include "models/deepseek_v3/synthetic.h"

namespace fathom::models::deepseek_v3 {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";

Config v3() {
  return Config::load(FATHOM_TEST_DATA "/deepseek-v3-config.json").value();
}
Config tiny() {
  return Config::load(kTiny / "config.json").value();
}

Result<ShardPlan> try_plan(const Config& config, const std::string& layout,
                           WeightFormat format = WeightFormat::kAsStored) {
  return ShardPlan::make(config, Layout::parse(layout).value(), planned_tensors(config), format);
}
ShardPlan plan(const Config& config, const std::string& layout,
               WeightFormat format = WeightFormat::kAsStored) {
  return try_plan(config, layout, format).value();
}

const TensorPart* find(const std::vector<TensorPart>& parts, const std::string& name) {
  const auto found = std::ranges::find_if(
      parts, [&](const TensorPart& part) { return part.tensor->spec.name == name; });
  return found == parts.end() ? nullptr : &*found;
}

TEST(PlannedTensors, ConfigSaysWhatTheCheckpointHolds) {
  const Config config = tiny();
  const auto source = CheckpointSource::open(kTiny, config).value();
  const auto held = planned_tensors(config, *source).value();
  const auto said = planned_tensors(config);
  ASSERT_EQ(held.size(), said.size());
  for (size_t i = 0; i < held.size(); ++i) {
    EXPECT_EQ(held[i].spec.name, said[i].spec.name);
    EXPECT_EQ(held[i].stored.dtype, said[i].stored.dtype) << said[i].spec.name;
    EXPECT_TRUE(same_format(held[i].stored, said[i].stored)) << said[i].spec.name;
  }
}

TEST(PlannedTensors, OneRanksFileBytesAreTheCheckpoints) {
  const auto index = read_json_file(kTiny / "model.safetensors.index.json").value();
  const ShardPlan one = plan(tiny(), "pp=1");
  size_t bytes = 0;
  for (const auto& part : one.parts_of(0)) bytes += part.file_bytes;
  EXPECT_EQ(bytes, index["metadata"]["total_size"].get<size_t>());
}

// DeepSeek-V3's README: 671B parameters, and 11.5B of the MTP layer's own (its embedding and head
// are the model's).
TEST(PlannedTensors, V3HasThePublishedParameters) {
  double model = 0;
  double mtp = 0;
  for (const auto& [spec, stored] : planned_tensors(v3())) {
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
  const ShardPlan v3_plan = plan(v3(), "pp=2,tp=8");
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
  const ShardPlan split = plan(v3(), "dp=2,tp=8,ep=4");  // each over four ranks
  const auto parts = split.parts_of(6);                  // expert index 1, slice 2
  const TensorPart* down = find(parts, "model.layers.3.mlp.experts.64.down_proj.weight");
  ASSERT_NE(down, nullptr);
  EXPECT_EQ(down->columns, (Range{1024, 1536}));
  EXPECT_EQ(down->file_bytes, 7168u * 512 + 56 * 4 * 4);
  EXPECT_EQ(find(parts, "model.layers.3.mlp.experts.0.down_proj.weight"), nullptr);
}

TEST(Shard, CopiesOfTheSharedExpertAreWhereTheyArePlaced) {
  const ShardPlan ep320 = plan(v3(), "dp=320,redundant=32,shared=32");
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
    const ShardPlan sharded = plan(v3(), "tp=8", format);
    return find(sharded.parts_of(0), name)->loaded_bytes;
  };
  EXPECT_EQ(bytes(WeightFormat::kAsStored), 7168u * 2048 + 56 * 16 * 4);
  EXPECT_EQ(bytes(WeightFormat::kBf16), 7168u * 2048 * 2);
  EXPECT_EQ(bytes(WeightFormat::kInt4), 7168u * 2048 / 2 + 7168 * 64 * 4);
}

TEST(Shard, ReadsTheEmbeddingTwiceWhereTheEndNeedsIt) {
  Config config = tiny();
  auto tensors = planned_tensors(config);
  std::erase_if(tensors, [](const PlannedTensor& tensor) {
    return tensor.spec.name == "model.layers.4.embed_tokens.weight";
  });
  const auto sharded =
      ShardPlan::make(config, Layout::parse("pp=3").value(), tensors, WeightFormat::kAsStored);
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
    EXPECT_EQ(refusal(v3(), fits, stored), "") << fits;
  }
  EXPECT_THAT(refusal(v3(), "tp=32", stored),
              HasSubstr("--parallel: tp=32: expected the 2048 rows of "
                        "model.layers.3.mlp.shared_experts.gate_proj.weight"));
  EXPECT_THAT(
      refusal(v3(), "tp=32", stored),
      HasSubstr("cut between blocks of 128 that share a scale, got parts of 64; the nearest "
                "is 16, or another format by --weights"));
  EXPECT_EQ(refusal(v3(), "tp=32", WeightFormat::kBf16), "");
  // Six heads of 48 rows.
  EXPECT_THAT(refusal(tiny(), "tp=2", stored), HasSubstr("tp=2: expected the "));
  EXPECT_THAT(refusal(tiny(), "tp=2", stored), HasSubstr("the nearest is 1, or another format"));
  EXPECT_EQ(refusal(tiny(), "tp=2", WeightFormat::kBf16), "");
  EXPECT_THAT(refusal(tiny(), "tp=3,redundant=2", WeightFormat::kBf16),
              HasSubstr("tp=3: expected a divisor of the 64 rows of "
                        "model.layers.1.mlp.shared_experts.gate_proj.weight, got 3 parts; the "
                        "nearest is 2"));
}

// A small model with any shape, and any layout: nearly all of them do not fit.
Config random_config(std::mt19937& random) {
  const auto any = [&](std::initializer_list<int64_t> of) {
    return *(of.begin() + random() % of.size());
  };
  auto json = synthetic_config("tiny").value();
  const int64_t heads = any({2, 4, 6, 8, 12});
  json.update({{"num_attention_heads", heads},
               {"num_key_value_heads", heads},
               {"vocab_size", any({33, 100, 128})},
               {"num_hidden_layers", any({1, 2, 5, 7})},
               {"num_nextn_predict_layers", any({0, 1})},
               {"first_k_dense_replace", any({0, 1, 3})},
               {"n_routed_experts", any({4, 6, 8, 16})},
               {"n_shared_experts", any({0, 1, 2})},
               {"n_group", 1},
               {"topk_group", 1},
               {"num_experts_per_tok", 2},
               {"tie_word_embeddings", any({0, 1}) == 1}});
  if (random() % 2 == 0) json["q_lora_rank"] = nullptr;
  if (random() % 2 == 0) {
    json["quantization_config"] = {
        {"quant_method", "fp8"}, {"fmt", "e4m3"}, {"weight_block_size", {16, 8}}};
  }
  return Config::parse(json).value();
}

Layout random_layout(std::mt19937& random) {
  Layout layout;
  layout.pp = 1 + random() % 3;
  layout.dp = 1 + random() % 4;
  layout.tp = 1 + random() % 6;
  layout.ep = 1 + random() % static_cast<unsigned>(layout.stage_ranks());
  layout.redundant = random() % 2 == 0 ? random() % 20 : 0;
  layout.shared = random() % 4 == 0 ? random() % 4 : 0;
  return layout;
}

using Rectangle = std::tuple<int64_t, int64_t, int64_t, int64_t>;

// How often each data index's, or (of an expert) each slice's, ranks have each part of each tensor.
struct Held {
  std::map<Rectangle, std::map<int64_t, int64_t>> counts;
  std::map<int64_t, int64_t> stages;  // ranks of each stage that have some
};

std::map<std::string, Held> gather(const ShardPlan& sharded) {
  std::map<std::string, Held> all;
  for (int64_t rank = 0; rank < sharded.layout().ranks(); ++rank) {
    const RankPlace place = place_of(sharded.layout(), rank);
    for (const auto& part : sharded.parts_of(rank)) {
      Held& held = all[part.tensor->spec.name];
      const bool expert = part.tensor->spec.name.find(".experts.") != std::string::npos;
      ++held.counts[{part.rows.begin, part.rows.end, part.columns.begin, part.columns.end}]
                   [expert ? place.slice : place.data];
      ++held.stages[place.stage];
    }
  }
  return all;
}

// The distinct parts lie side by side and fill the tensor.
void expect_tiling(const TensorSpec& spec, const Held& held) {
  int64_t row = 0;
  int64_t column = 0;
  const int64_t width = std::max<int64_t>(spec.k, 0);
  for (const auto& [part, counts] : held.counts) {
    const auto [top, bottom, left, right] = part;
    const bool whole_rows = left == 0 && right == width;
    const bool whole_columns = top == 0 && bottom == spec.n;
    ASSERT_TRUE(whole_rows || whole_columns) << spec.name;
    if (whole_rows) {
      ASSERT_EQ(top, row) << spec.name;
      row = bottom;
    } else {
      ASSERT_EQ(left, column) << spec.name;
      column = right;
    }
  }
  EXPECT_TRUE((row == spec.n && column == 0) || (row == 0 && column == width)) << spec.name;
}

void expect_covered(const ShardPlan& sharded) {
  const Layout& layout = sharded.layout();
  std::map<int64_t, int64_t> copies;
  for (const auto& here : sharded.experts()) {
    for (const int64_t expert : here) ++copies[expert];
  }
  const auto all = gather(sharded);
  ASSERT_EQ(all.size(), sharded.tensors().size()) << "every tensor is somewhere";
  for (const auto& tensor : sharded.tensors()) {
    const std::string& name = tensor.spec.name;
    const Held& held = all.at(name);
    expect_tiling(tensor.spec, held);
    const size_t at = name.find(".experts.");
    const bool routed = at != std::string::npos;
    const bool placed = layout.shared > 0 && name.find(".shared_experts.") != std::string::npos;
    const auto parts = static_cast<int64_t>(held.counts.size());
    if (routed) {
      const int64_t expert = std::stoll(name.substr(at + 9));
      EXPECT_EQ(parts, layout.slices()) << name;
      for (const auto& [part, by_slice] : held.counts) {
        EXPECT_EQ(by_slice.size(), 1u) << name << ": a slice index has one part";
        EXPECT_EQ(by_slice.begin()->second, copies.at(expert)) << name;
      }
    } else if (placed) {
      int64_t ranks = 0;
      for (const auto& [stage, count] : held.stages) ranks += count;
      EXPECT_EQ(ranks, layout.shared * layout.slices()) << name;
    } else {
      // Cut over tp, or whole on each; either way every data index has everything.
      EXPECT_TRUE(parts == layout.tp || parts == 1) << name;
      for (const auto& [part, by_data] : held.counts) {
        EXPECT_EQ(static_cast<int64_t>(by_data.size()), layout.dp) << name;
        for (const auto& [data, count] : by_data) {
          EXPECT_EQ(count, layout.tp / parts * static_cast<int64_t>(held.stages.size())) << name;
        }
      }
    }
    const bool embedding = name == "model.embed_tokens.weight";
    EXPECT_LE(held.stages.size(), embedding ? 2u : 1u) << name;
  }
}

TEST(Shard, PartsCoverEachTensorOncePerReplica) {
  std::mt19937 random(3);
  int tried = 0;
  int split = 0;
  int piped = 0;
  for (int round = 0; round < 4000; ++round) {
    const Config config = random_config(random);
    const Layout layout = random_layout(random);
    const auto sharded =
        ShardPlan::make(config, layout, planned_tensors(config), WeightFormat::kAsStored);
    if (!sharded) continue;
    ++tried;
    split += layout.slices() > 1 ? 1 : 0;
    piped += layout.pp > 1 ? 1 : 0;
    expect_covered(*sharded);
    if (HasFailure()) FAIL() << layout.text();
  }
  EXPECT_GT(tried, 100);
  EXPECT_GT(split, 20);
  EXPECT_GT(piped, 20);
}

TEST(Shard, PartsCoverV3) {
  for (const char* layout :
       {"pp=2,tp=8", "dp=2,tp=8", "dp=4,tp=8,redundant=32", "dp=2,tp=16,ep=4", "pp=16",
        "dp=144,redundant=32", "dp=320,redundant=32,shared=32", "dp=80,tp=4,redundant=64"}) {
    expect_covered(plan(v3(), layout));
  }
}

TEST(Shard, V3sStagesAreEven) {
  const ShardPlan two = plan(v3(), "pp=2,tp=8");
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
