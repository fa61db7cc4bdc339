// However a model is divided: nothing is missing, and nothing is there more often than it should
// be.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <tuple>

#include "models/deepseek_v3/sharding/shard.h"
#include "models/deepseek_v3/weights/synthetic.h"

namespace fathom::models::deepseek_v3 {
namespace {

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

ParallelLayout random_layout(std::mt19937& random) {
  ParallelLayout layout;
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
struct HeldPart {
  std::map<Rectangle, std::map<int64_t, int64_t>> counts;
  std::map<int64_t, int64_t> stages;  // ranks of each stage that have some
};

bool is_routed(const ManifestEntry& tensor) {
  return tensor.spec.name.find(".experts.") != std::string::npos;
}

// Of each tensor, in their order.
std::vector<HeldPart> gather(const ShardPlan& sharded) {
  std::vector<HeldPart> all(sharded.tensors().size());
  std::vector<bool> experts;
  for (const auto& tensor : sharded.tensors()) experts.push_back(is_routed(tensor));
  for (int64_t rank = 0; rank < sharded.layout().ranks(); ++rank) {
    const RankPlace place = place_of(sharded.layout(), rank);
    for (const auto& part : sharded.parts_of(rank)) {
      const auto index = static_cast<size_t>(part.tensor - sharded.tensors().data());
      HeldPart& held = all[index];
      const bool expert = experts[index];
      ++held.counts[{part.rows.begin, part.rows.end, part.columns.begin, part.columns.end}]
                   [expert ? place.slice : place.data];
      ++held.stages[place.stage];
    }
  }
  return all;
}

// The distinct parts lie side by side and fill the tensor.
void expect_tiling(const TensorSpec& spec, const HeldPart& held) {
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
  const ParallelLayout& layout = sharded.layout();
  std::map<int64_t, int64_t> copies;
  for (const auto& here : sharded.experts()) {
    for (const int64_t expert : here) ++copies[expert];
  }
  const auto all = gather(sharded);
  for (size_t i = 0; i < all.size(); ++i) {
    const ManifestEntry& tensor = sharded.tensors()[i];
    const std::string& name = tensor.spec.name;
    const HeldPart& held = all[i];
    ASSERT_FALSE(held.counts.empty()) << name << ": every tensor is somewhere";
    expect_tiling(tensor.spec, held);
    const bool routed = is_routed(tensor);
    const bool placed = layout.shared > 0 && name.find(".shared_experts.") != std::string::npos;
    const auto parts = static_cast<int64_t>(held.counts.size());
    if (routed) {
      const int64_t expert = std::stoll(name.substr(name.find(".experts.") + 9));
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
    const bool tied = sharded.config().tie_word_embeddings && name == "model.embed_tokens.weight";
    EXPECT_EQ(held.stages.size(), tied && layout.pp > 1 ? 2u : 1u) << name;
  }
}

TEST(Shard, PartsCoverEachTensorOncePerReplica) {
  std::mt19937 random(3);
  int tried = 0;
  int split = 0;
  int piped = 0;
  for (int round = 0; round < 4000; ++round) {
    const Config config = random_config(random);
    const ParallelLayout layout = random_layout(random);
    const auto sharded =
        ShardPlan::make(config, layout, tensor_manifest(config).value(), WeightFormat::kAsStored);
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
  const Config v3 = Config::load(FATHOM_TEST_DATA "/deepseek-v3-config.json").value();
  for (const char* layout :
       {"pp=2,tp=8", "dp=2,tp=8", "dp=4,tp=8,redundant=32", "dp=2,tp=16,ep=4", "pp=16",
        "dp=144,redundant=32", "dp=320,redundant=32,shared=32", "dp=80,tp=4,redundant=64"}) {
    const auto sharded = ShardPlan::make(v3, ParallelLayout::parse(layout).value(),
                                         tensor_manifest(v3).value(), WeightFormat::kAsStored);
    ASSERT_TRUE(sharded.ok()) << sharded.error().message;
    expect_covered(*sharded);
  }
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
