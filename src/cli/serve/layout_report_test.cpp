#include "cli/serve/layout_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "cli/serve/dry_run.h"

namespace fathom::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Result<LayoutReport> try_report(const std::string& parallel, DryRunOptions options = {}) {
  serving::StackOptions stack;
  stack.model = FATHOM_TEST_DATA "/deepseek-v3-config.json";
  return plan_layout(stack, parallel, options);
}
LayoutReport report(const std::string& parallel, int64_t memory = 0) {
  return try_report(parallel, {.device_memory = memory}).value();
}

TEST(LayoutReport, WritesNumbersForPeople) {
  EXPECT_EQ(bytes_text(64e9), "64.0 GB");
  EXPECT_EQ(bytes_text(8265.8e9), "8265.8 GB");
  EXPECT_EQ(bytes_text(9.98e6), "9.98 MB");
  EXPECT_EQ(bytes_text(14336), "14.3 KB");
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(123), "123");
  EXPECT_EQ(grouped(1234567), "1,234,567");
  EXPECT_EQ(range_list({{0, 8}, {9, 10}}), "0-7, 9");
  EXPECT_EQ(range_list({{0, 1}, {2, 3}, {4, 5}, {6, 7}}), "0, 2, ...");
}

TEST(LayoutReport, GroupsRanksThatAreAlike) {
  for (const char* layout : {"pp=2,tp=8", "dp=8,tp=4", "dp=320,redundant=32,shared=32", "pp=16"}) {
    const LayoutReport planned = report(layout, 64'000'000'000);
    std::set<int64_t> seen;
    for (const auto& group : group_ranks(planned)) {
      int64_t count = 0;
      for (const auto& range : group.ranks) {
        for (int64_t rank = range.begin; rank < range.end; ++rank) {
          EXPECT_TRUE(seen.insert(rank).second) << layout << " rank " << rank;
          EXPECT_EQ(group.footprint, planned.footprints[static_cast<size_t>(rank)]);
          ++count;
        }
      }
      EXPECT_EQ(count, group.count);
    }
    EXPECT_EQ(static_cast<int64_t>(seen.size()), planned.plan.layout().ranks());
  }
}

TEST(LayoutReport, HasALineForRanksWithTheSharedExpert) {
  const auto groups = group_ranks(report("dp=320,redundant=32,shared=32"));
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].count, 288);
  EXPECT_FALSE(groups[0].shared);
  EXPECT_EQ(groups[1].count, 32);
  EXPECT_TRUE(groups[1].shared);
  EXPECT_EQ(groups[1].routed, 0);
}

TEST(LayoutReport, SaysWhatIsShort) {
  EXPECT_THAT(to_text(report("tp=8", 64'000'000'000)), HasSubstr("GB short"));
  EXPECT_THAT(to_text(report("tp=8", 141'000'000'000)), Not(HasSubstr("GB short")));
}

TEST(LayoutReport, RefusesWhatDoesNotGoTogether) {
  const auto refusal = [](const char* parallel, DryRunOptions options) {
    const auto planned = try_report(parallel, options);
    return planned ? std::string() : planned.error().message;
  };
  EXPECT_THAT(refusal("auto", {.ranks = 16}), HasSubstr("--ranks and --device-memory"));
  EXPECT_THAT(refusal("auto", {.device_memory = 1}), HasSubstr("--ranks and --device-memory"));
  EXPECT_THAT(refusal("tp=8", {.ranks = 16}), HasSubstr("dp=2 makes it 16"));
  EXPECT_THAT(refusal("tp=8", {.rank = 8}), HasSubstr("--rank: expected a rank below 8, got 8"));
}

TEST(LayoutReport, JsonSaysTheSameAsThePlan) {
  const LayoutReport planned = report("pp=2,tp=8", 64'000'000'000);
  const auto json = nlohmann::json::parse(to_json(planned));
  EXPECT_EQ(json["layout"], "pp=2,dp=1,tp=8,ep=8");
  EXPECT_EQ(json["ranks"], 16);
  int64_t bytes = 0;
  for (const auto& group : json["rank_groups"]) {
    bytes += group["count"].get<int64_t>() * group["weight_bytes"].get<int64_t>();
  }
  int64_t expected = 0;
  for (const auto& print : planned.footprints) expected += print.weight_bytes;
  EXPECT_EQ(bytes, expected);

  const auto rank = nlohmann::json::parse(rank_json(planned, 9));
  EXPECT_EQ(rank["experts"].size(), 32u);
  EXPECT_EQ(static_cast<int64_t>(rank["tensors"].size()), planned.footprints[9].tensors);
}

}  // namespace
}  // namespace fathom::cli
