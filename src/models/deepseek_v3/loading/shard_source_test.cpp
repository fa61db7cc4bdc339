#include "models/deepseek_v3/loading/shard_source.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "models/deepseek_v3/loading/load_weights.h"
#include "models/deepseek_v3/sharding/rank_shard.h"
#include "models/deepseek_v3/testing/examples.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/quantize/quantize.h"
#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

std::vector<float> rows_of(const TensorSource& source, const std::string& name,
                           const Weight& weight, int64_t begin, int64_t count) {
  std::vector<float> rows(static_cast<size_t>(count * weight.k));
  EXPECT_TRUE(source.read_rows(name, weight, begin, count, rows.data()).ok());
  return rows;
}

std::vector<float> numbers(const Weight& weight) {
  std::vector<float> values(static_cast<size_t>(weight.n * weight.k));
  for (int64_t row = 0; row < weight.n; ++row) {
    dequantize_row(weight, row, values.data() + row * weight.k);
  }
  return values;
}

// Rows and columns of a part, out of the whole.
std::vector<float> cut(const std::vector<float>& whole, int64_t k, const TensorPart& part) {
  std::vector<float> out;
  for (int64_t row = part.rows.begin; row < part.rows.end; ++row) {
    const auto* begin = whole.data() + row * k;
    out.insert(out.end(), begin + part.columns.begin, begin + part.columns.end);
  }
  return out;
}

struct Case {
  const char* layout;
  WeightFormat format;
};

class ShardSourceTest : public ::testing::TestWithParam<Case> {
 protected:
  ShardSourceTest()
      : config_(Config::load(kTiny / "config.json").value()),
        source_(CheckpointSource::open(kTiny, config_).value()),
        plan_(ShardPlan::make(config_, ParallelLayout::parse(GetParam().layout).value(),
                              tensor_manifest(config_, *source_).value(), GetParam().format)
                  .value()) {}

  Config config_;
  std::shared_ptr<const TensorSource> source_;
  ShardPlan plan_;
};

// By reading rows, and where the part has bytes also by those, after check().
TEST_P(ShardSourceTest, PartsHaveTheNumbersOfTheWhole) {
  int64_t with_bytes = 0;
  int64_t columns = 0;
  for (int64_t rank = 0; rank < plan_.layout().ranks(); ++rank) {
    const auto parts = plan_.parts_of(rank);
    const auto shard = ShardSource::make(source_, parts).value();
    ASSERT_EQ(shard->specs().size(), parts.size());
    for (size_t i = 0; i < parts.size(); ++i) {
      const TensorSpec& whole = parts[i].tensor->spec;
      const TensorSpec& own = shard->specs()[i];
      ASSERT_EQ(own.name, whole.name);
      if (own.is_vector()) {
        EXPECT_EQ(shard->vector(own.name, own.n).value(), source_->vector(own.name, own.n).value());
        continue;
      }
      const Weight all = source_->matrix(whole.name, whole.n, whole.k).value();
      const auto expected = cut(rows_of(*source_, whole.name, all, 0, whole.n), whole.k, parts[i]);
      const Weight matrix = shard->matrix(own.name, own.n, own.k).value();
      EXPECT_EQ(rows_of(*shard, own.name, matrix, 0, own.n), expected) << own.name;
      if (matrix.data == nullptr) continue;
      ASSERT_TRUE(shard->check(own.name, matrix).ok());
      EXPECT_EQ(numbers(matrix), expected) << own.name;
      ++with_bytes;
      columns += own.k < whole.k ? 1 : 0;
    }
  }
  EXPECT_GT(with_bytes, 0);
  EXPECT_EQ(columns > 0, plan_.layout().tp > 1);
}

// What a plan says a rank holds is what it loads.
TEST_P(ShardSourceTest, SharesAreLoadedAsPlanned) {
  FakeChip chip;
  const auto device = chip.open();
  for (int64_t rank = 0; rank < plan_.layout().ranks(); ++rank) {
    const auto weights =
        load_weights(source_, plan_, rank, *device, {.format = GetParam().format}).value();
    const RankShard shard = shard_of(plan_, rank);
    ASSERT_EQ(static_cast<int64_t>(weights.blocks.size()), shard.layers.size());
    const BlockWeights& last = weights.blocks.back();
    EXPECT_EQ(last.attn.wkv_b.n, shard.heads * (config_.qk_nope_head_dim + config_.v_head_dim));
    EXPECT_EQ(last.attn.wo.k, shard.heads * config_.v_head_dim);
    EXPECT_EQ(weights.mtp.has_value(), shard.is_last());
    EXPECT_EQ(weights.embed.n, shard.is_first() ? shard.tokens.size() : 0);
    EXPECT_EQ(weights.head.n, shard.is_last() ? shard.tokens.size() : 0);
    if (!last.moe) continue;
    ASSERT_EQ(last.moe->w1.size(), shard.own_experts().size());
    for (size_t i = 0; i < last.moe->w1.size(); ++i) {
      if (shard.own_experts()[i] == kSharedExpert) continue;
      const std::string name = "model.layers." + std::to_string(shard.layers.end - 1) +
                               ".mlp.experts." + std::to_string(shard.own_experts()[i]) +
                               ".gate_proj.weight";
      const Weight whole =
          source_->matrix(name, config_.moe_intermediate_size, config_.hidden_size).value();
      const int64_t inner = config_.moe_intermediate_size / plan_.layout().slices();
      EXPECT_EQ(last.moe->w1[i].n, inner);
      const auto expected = rows_of(*source_, name, whole, shard.place.slice * inner, 1);
      std::vector<float> got(expected.size());
      dequantize_row(last.moe->w1[i], 0, got.data());
      for (size_t k = 0; k < got.size(); ++k) EXPECT_NEAR(got[k], expected[k], 0.01f);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Layouts, ShardSourceTest,
                         ::testing::Values(Case{"pp=2,dp=2", WeightFormat::kAsStored},
                                           Case{"tp=2,dp=2,ep=2", WeightFormat::kBf16},
                                           Case{"tp=2,redundant=2", WeightFormat::kBf16},
                                           Case{"dp=2,shared=2", WeightFormat::kAsStored},
                                           Case{"pp=2,tp=2", WeightFormat::kInt8}));

}  // namespace
}  // namespace fathom::models::deepseek_v3
