#include "models/deepseek_v3/sharding/footprint.h"

#include <gtest/gtest.h>

#include <numeric>

#include "models/deepseek_v3/testing/examples.h"

namespace fathom::models::deepseek_v3 {
namespace {

RunLimits limits() {
  return {.max_step_tokens = 640,
          .max_logit_rows = 192,
          .max_context = 163840,
          .max_step_sequences = 64,
          .num_kv_blocks = 0,
          .kv_block_size = 32};
}

Footprint footprint(const ShardPlan& sharded, int64_t rank, int64_t memory) {
  return footprint_of(sharded, rank, limits(), {.memory = memory});
}

TEST(Footprint, LatentsAreThePublishedBytesAToken) {
  Config config = v3_config();
  const int64_t mtp_layer = 576 * 2;
  EXPECT_EQ(footprint(plan(config, "tp=8"), 3, 0).kv_token_bytes, 70272 + mtp_layer);
  config.num_nextn_predict_layers = 0;
  EXPECT_EQ(footprint(plan(config, "tp=8"), 3, 0).kv_token_bytes, 70272);
  const ShardPlan staged = plan(config, "pp=4,tp=2");
  int64_t bytes = 0;
  for (int64_t stage = 0; stage < 4; ++stage)
    bytes += footprint(staged, 2 * stage, 0).kv_token_bytes;
  EXPECT_EQ(bytes, 70272);
  EXPECT_EQ(footprint_of(plan(config, "tp=8"), 3, limits(), {.memory = 0, .kv_dtype = FATHOM_F32})
                .kv_token_bytes,
            2 * 70272);
}

// From the published parameters: attention 187.1M a layer, an expert 44.04M, a dense MLP 396.4M,
// embedding and head 0.927B each; FP8 has a byte a weight and a scale for 16,384.
TEST(Footprint, RanksOfEP144HoldAllButTheExpertsAndTwoOfThem) {
  Config config = v3_config();
  config.num_nextn_predict_layers = 0;
  const double expected =
      61 * 187.1e6 + 3 * 396.4e6 + 58 * (1 + 2) * 44.04e6 + 2 * 2 * 0.927e9 + 58 * 256 * 7168 * 2;
  const Footprint print = footprint(plan(config, "dp=144,redundant=32"), 17, 0);
  EXPECT_NEAR(static_cast<double>(print.weight_bytes), expected, 0.001 * expected);
}

TEST(Footprint, OneRankReadsTheWholeRelease) {
  const Footprint print = footprint(plan(v3_config(), "pp=1"), 0, 0);
  EXPECT_EQ(print.tensors, static_cast<int64_t>(tensor_manifest(v3_config()).value().size()));
  EXPECT_NEAR(static_cast<double>(print.file_bytes), 688.6e9, 0.1e9);
}

TEST(Footprint, KvTokensFillWhatIsLeft) {
  const ShardPlan sharded = plan(v3_config(), "pp=2,tp=8");
  const Footprint print = footprint(sharded, 8, 64'000'000'000);
  const int64_t left = 64'000'000'000 - 3'200'000'000 - print.weight_bytes - print.workspace_bytes;
  EXPECT_GT(left, 0);
  EXPECT_EQ(print.missing_bytes, 0);
  EXPECT_EQ(print.kv_tokens % 32, 0);
  EXPECT_LE(print.kv_tokens * print.kv_token_bytes, left);
  EXPECT_GT((print.kv_tokens + 32) * print.kv_token_bytes, left);
}

TEST(Footprint, SaysHowMuchIsMissing) {
  const ShardPlan sharded = plan(v3_config(), "tp=8");
  const Footprint print = footprint(sharded, 0, 64'000'000'000);
  EXPECT_EQ(print.kv_tokens, 0);
  ASSERT_GT(print.missing_bytes, 0);
  const int64_t enough = 64'000'000'000 + print.missing_bytes;
  EXPECT_EQ(footprint(sharded, 0, enough).kv_tokens, 32);
  EXPECT_EQ(footprint(sharded, 0, enough - 2).kv_tokens, 0);
  EXPECT_EQ(footprint(sharded, 0, enough - 2).missing_bytes, 2);
}

TEST(Footprint, LeastMemoryIsThatOfTheFullestRank) {
  const ShardPlan sharded = plan(v3_config(), "pp=3,dp=2,tp=2");
  const int64_t least = least_memory(footprints_of(sharded, limits(), {}), 32);
  const auto fits = [&](int64_t memory) {
    for (const auto& print : footprints_of(sharded, limits(), {.memory = memory})) {
      if (print.kv_tokens == 0) return false;
    }
    return true;
  };
  EXPECT_TRUE(fits(least));
  EXPECT_FALSE(fits(least - 2));
}

TEST(Footprint, ADataIndexHoldsWhatItsFullestRankDoes) {
  const ParallelLayout layout = ParallelLayout::parse("pp=2,dp=2,tp=1").value();
  std::vector<Footprint> prints(4);
  prints[0].kv_tokens = 64;   // stage 0, data 0
  prints[1].kv_tokens = 320;  // stage 0, data 1
  prints[2].kv_tokens = 96;
  prints[3].kv_tokens = 128;
  EXPECT_EQ(kv_tokens_of(layout, prints), 64 + 128);
}

TEST(Footprint, WorkspaceHoldsWhatStepsAreToldAndDrawnWithAndGraphs) {
  const RankMemory memory = {.metadata_bytes = 1000, .draw_bytes = 20'000, .graph_bytes = 300'000};
  const auto more = [&](const char* layout, int64_t rank) {
    const ShardPlan sharded = plan(v3_config(), layout);
    return footprint_of(sharded, rank, limits(), memory).workspace_bytes -
           footprint_of(sharded, rank, limits(), {}).workspace_bytes;
  };
  EXPECT_EQ(more("pp=1", 0), 321'000) << "alone";
  EXPECT_EQ(more("pp=2,tp=2", 0), 1000) << "before the last stage";
  EXPECT_EQ(more("pp=2,tp=2", 2), 21'000) << "draws";
  EXPECT_EQ(more("pp=2,tp=2", 3), 1000) << "another one of its tensor group draws";
}

// Rows for every other data index's whole step, 8-bit out and bf16 back, and the results of its
// own.
TEST(Footprint, WorkspaceHoldsTheFullestExchange) {
  Config config = v3_config();
  const auto workspace = [&](const char* layout) {
    return footprint(plan(config, layout), 0, 0).workspace_bytes;
  };
  const int64_t alone = workspace("tp=1");
  const int64_t arriving = int64_t{319} * 640 * 7168 * 3;
  const int64_t returning = 640 * 8 * 7168 * 2;
  EXPECT_EQ(workspace("dp=320,redundant=64") - alone, arriving + returning);
  EXPECT_LT(workspace("tp=8"), alone);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
