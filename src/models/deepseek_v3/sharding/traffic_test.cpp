// Against the published arithmetic of DeepSeek-V3's deployments.
#include "models/deepseek_v3/sharding/traffic.h"

#include <gtest/gtest.h>

#include "models/deepseek_v3/testing/examples.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr double kHidden = 7168;

ShardPlan v3_plan(const std::string& layout) {
  return plan(v3_config(), layout);
}

// 58 layers x 8 experts x 7168 x (1 byte out + 2 back) = 9.98 MB a token, but for what stays.
TEST(Traffic, ExpertParallelismIsThePublishedTenMegabytes) {
  const Traffic sent = sent_for_token(v3_plan("dp=320,redundant=64"));
  const double published = 58.0 * 8 * kHidden * (1 + 2);
  EXPECT_NEAR(published, 9.98e6, 0.01e6);
  EXPECT_DOUBLE_EQ(sent.dispatch + sent.combine, published * 319 / 320);
  EXPECT_DOUBLE_EQ(sent.combine, 2 * sent.dispatch);
  EXPECT_EQ(sent.sums, 0);
  EXPECT_EQ(sent.pipeline, 0);
  EXPECT_EQ(sent.logits, 0);
}

TEST(Traffic, ASharedExpertElsewhereIsANinth) {
  const Traffic here = sent_for_token(v3_plan("dp=320,redundant=64"));
  const Traffic away = sent_for_token(v3_plan("dp=320,redundant=32,shared=32"));
  EXPECT_DOUBLE_EQ(away.dispatch / here.dispatch, 9.0 / 8);
}

TEST(Traffic, TensorParallelismReducesTwiceALayer) {
  const Traffic sent = sent_for_token(v3_plan("tp=8"));
  // 8 ranks send 2 x 7/8 of a row for each of 61 x 2 + 1 reductions.
  EXPECT_DOUBLE_EQ(sent.sums, 123 * 8 * (2 * 7.0 / 8) * kHidden * 2);
  EXPECT_EQ(sent.dispatch, 0) << "all ranks have all tokens";
  EXPECT_DOUBLE_EQ(sent.logits, 129280.0 * 4 * 7 / 8);
}

TEST(Traffic, StagesSendARowEach) {
  const Traffic whole = sent_for_token(v3_plan("pp=4"));
  EXPECT_DOUBLE_EQ(whole.total(), 3 * kHidden * 2);
  const ShardPlan two = v3_plan("pp=2,tp=8");
  EXPECT_DOUBLE_EQ(sent_by_rank(two, 0).pipeline, kHidden * 2);
  EXPECT_DOUBLE_EQ(sent_by_rank(two, 8).pipeline, 0);
  EXPECT_DOUBLE_EQ(sent_for_token(two).sums, sent_for_token(v3_plan("tp=8")).sums);
}

// A layer of a long step scatters two sums and gathers the MLP's input and q_a with kv_a; the
// embedding is scattered, and the end of each stage gathered.
TEST(Traffic, LongStepsGatherNarrowerRows) {
  const auto sent = [](const char* layout, RowsInStep rows) {
    return sent_for_token(v3_plan(layout), rows).sums;
  };
  const double layer = 3 * kHidden + 1536 + 512 + 64;
  EXPECT_DOUBLE_EQ(sent("tp=8", RowsInStep::kManyForAll), 7 * (61 * layer + 2 * kHidden) * 2);
  EXPECT_DOUBLE_EQ(sent("pp=2,tp=8", RowsInStep::kManyForAll), 7 * (61 * layer + 3 * kHidden) * 2);
  // The last layer's sums and its MLP's input are of rows whose output is wanted.
  EXPECT_DOUBLE_EQ(sent("tp=8", RowsInStep::kManyForAll) - sent("tp=8", RowsInStep::kManyForLast),
                   7 * 3 * kHidden * 2);
}

TEST(Traffic, PromptRowsEndBeforeTheExpertsOfTheLastLayer) {
  const auto sent = [](RowsInStep rows) { return sent_for_token(v3_plan("dp=32"), rows).dispatch; };
  EXPECT_DOUBLE_EQ(sent(RowsInStep::kManyForLast) / sent(RowsInStep::kManyForAll), 57.0 / 58);
}

// Half of the experts are in the token's own tensor group, whose ranks have it.
TEST(Traffic, OnlyExpertsOfOtherDataIndicesAreSentTo) {
  const ShardPlan halves = v3_plan("dp=2,tp=8");
  const Traffic sent = sent_for_token(halves);
  EXPECT_DOUBLE_EQ(sent.dispatch, 58.0 * 8 * kHidden / 2);
  EXPECT_DOUBLE_EQ(sent_by_rank(halves, 3).dispatch, sent.dispatch / 8);
  // A split expert wants the row on each of its ranks.
  EXPECT_DOUBLE_EQ(sent_for_token(v3_plan("dp=2,tp=8,ep=4")).dispatch, 4 * sent.dispatch);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
