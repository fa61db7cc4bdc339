#include "models/deepseek_v3/sharding/choose_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "models/deepseek_v3/sharding/traffic.h"
#include "models/deepseek_v3/testing/examples.h"

namespace fathom::models::deepseek_v3 {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kGB = 1'000'000'000;

RunLimits limits(const Config& config) {
  return {.max_step_tokens = 640,
          .max_logit_rows = 192,
          .max_context = config.max_position_embeddings,
          .max_step_sequences = 64,
          .num_kv_blocks = 0,
          .kv_block_size = 32};
}

Result<ShardPlan> choose(const Config& config, int64_t ranks, int64_t memory) {
  return choose_layout(config, tensor_manifest(config).value(), WeightFormat::kAsStored, ranks,
                       limits(config), {.memory = memory});
}

std::string chosen(const Config& config, int64_t ranks, int64_t memory) {
  const auto plan = choose(config, ranks, memory);
  return plan ? plan->layout().text() : plan.error().message;
}

TEST(ChooseLayout, FitsV3OnWhatThereIs) {
  EXPECT_EQ(chosen(v3_config(), 1, 800 * kGB), "pp=1,dp=1,tp=1,ep=1");
  // Two ranks reduce 123 rows (3.5 MB) and gather logits (0.3 MB); half of 9.98 MB is more.
  EXPECT_EQ(chosen(v3_config(), 2, 480 * kGB), "pp=1,dp=1,tp=2,ep=2");
  EXPECT_EQ(chosen(v3_config(), 4, 256 * kGB), "pp=1,dp=4,tp=1,ep=4");
  EXPECT_EQ(chosen(v3_config(), 8, 141 * kGB), "pp=1,dp=8,tp=1,ep=8");
  EXPECT_EQ(chosen(v3_config(), 32, 64 * kGB), "pp=1,dp=32,tp=1,ep=32");
  EXPECT_EQ(chosen(v3_config(), 320, 64 * kGB), "pp=1,dp=320,tp=1,ep=320,redundant=64");
}

TEST(ChooseLayout, SplitsAttentionWhereMemoryIsShort) {
  EXPECT_EQ(chosen(v3_config(), 16, 64 * kGB), "pp=1,dp=8,tp=2,ep=16");
  EXPECT_EQ(chosen(v3_config(), 16, 96 * kGB), "pp=1,dp=16,tp=1,ep=16");
}

TEST(ChooseLayout, SaysHowMuchMemoryV3Takes) {
  EXPECT_THAT(chosen(v3_config(), 1, 64 * kGB),
              HasSubstr("on 1 rank (pp=1,dp=1,tp=1,ep=1), got 64.0 GB"));
  const std::string refusal = chosen(v3_config(), 8, 64 * kGB);
  EXPECT_THAT(refusal, HasSubstr("--parallel auto: expected "));
  EXPECT_THAT(refusal, HasSubstr("got 64.0 GB; more ranks"));
}

TEST(ChooseLayout, TheEmbeddedModelFitsAnyRanks) {
  for (const int64_t ranks : {1, 2, 4, 8, 16, 32, 320}) {
    const auto plan = choose(tiny_config(), ranks, 4 * kGB);
    ASSERT_TRUE(plan.ok()) << plan.error().message;
    EXPECT_EQ(plan->layout().ranks(), ranks);
    EXPECT_EQ(plan->layout().pp, 1);
    EXPECT_EQ(plan->layout().dp, ranks) << "it is small enough for every rank";
  }
}

// Whatever is chosen fits, and no other layout of as few stages that fits sends less.
TEST(ChooseLayout, NothingThatFitsSendsLess) {
  const Config config = v3_config();
  const RankMemory memory = {.memory = 64 * kGB};
  const auto best = choose(config, 16, memory.memory);
  ASSERT_TRUE(best.ok());
  EXPECT_LE(least_memory(footprints_of(*best, limits(config), memory), 32), memory.memory);
  const double least = sent_for_token(*best).total();
  for (const char* text : {"dp=16", "dp=8,tp=2,ep=16", "dp=8,tp=2,ep=8", "dp=4,tp=4", "dp=2,tp=8",
                           "dp=1,tp=16", "tp=16,ep=1"}) {
    const auto other = ShardPlan::make(config, ParallelLayout::parse(text).value(),
                                       tensor_manifest(config).value(), WeightFormat::kAsStored);
    ASSERT_TRUE(other.ok()) << text;
    const bool fits =
        least_memory(footprints_of(*other, limits(config), memory), 32) <= memory.memory;
    EXPECT_TRUE(!fits || sent_for_token(*other).total() >= least) << text;
  }
}

TEST(ChooseLayout, AddsStagesOnlyWhereOneDoesNotDo) {
  Config deep =
      tiny_config();  // its embedding and heads are small, its layers are not shared by data
  const auto one = choose(deep, 4, 4 * kGB);
  ASSERT_TRUE(one.ok());
  // Just too little for any layout of one stage.
  int64_t least = INT64_MAX;
  for (const char* text : {"dp=4", "dp=2,tp=2", "dp=2,tp=2,ep=2", "tp=4"}) {
    const auto plan = ShardPlan::make(deep, ParallelLayout::parse(text).value(),
                                      tensor_manifest(deep).value(), WeightFormat::kAsStored);
    if (!plan) continue;
    least = std::min(least, least_memory(footprints_of(*plan, limits(deep), {}), 32));
  }
  const auto staged = choose(deep, 4, least - 2);
  ASSERT_TRUE(staged.ok()) << staged.error().message;
  EXPECT_GT(staged->layout().pp, 1);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
