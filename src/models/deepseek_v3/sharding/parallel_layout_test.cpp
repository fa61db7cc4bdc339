#include "models/deepseek_v3/sharding/parallel_layout.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>
#include <random>
#include <set>

#include "models/deepseek_v3/testing/examples.h"

namespace fathom::models::deepseek_v3 {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

ParallelLayout parsed(const std::string& text) {
  const auto layout = ParallelLayout::parse(text);
  EXPECT_TRUE(layout.ok()) << layout.error().message;
  return *layout;
}

std::string refusal(const std::string& text, const Config& config) {
  const auto status = check_layout(parsed(text), config);
  return status ? "" : status.error().message;
}

TEST(ParallelLayout, ReadsWhatItWrites) {
  EXPECT_EQ(parsed("pp=2,dp=1,tp=8,ep=8").text(), "pp=2,dp=1,tp=8,ep=8");
  EXPECT_EQ(parsed("ep=320,dp=320,shared=32,redundant=32").text(),
            "pp=1,dp=320,tp=1,ep=320,redundant=32,shared=32");
  EXPECT_EQ(parsed("tp=4").text(), "pp=1,dp=1,tp=4,ep=4") << "experts over a stage's ranks";
  EXPECT_EQ(parsed("pp=3,dp=2,tp=4").ranks(), 24);
}

TEST(ParallelLayout, RefusesOtherText) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "got ''"},
      {"tp", "got 'tp'"},
      {"tp=", "tp: expected a whole number from 1 to 4096, got ''"},
      {"tp=0", "got '0'"},
      {"tp=-1", "got '-1'"},
      {"tp=2x", "got '2x'"},
      {"tp=99999999999999999999", "got '99999999999999999999'"},
      {"tp=2,tp=2", "expected tp once"},
      {"tp=2,", "got ''"},
      {"np=2", "expected pp=, dp=, tp=, ep=, redundant= or shared="},
      {"pp=4096,dp=4096", "expected at most 4096 ranks, got 4096 x 4096 x 1"},
  };
  for (const auto& [text, says] : cases) {
    const auto layout = ParallelLayout::parse(text);
    ASSERT_FALSE(layout.ok()) << text;
    EXPECT_THAT(layout.error().message, HasSubstr(says));
    EXPECT_THAT(layout.error().message, HasSubstr("--parallel"));
  }
}

TEST(ParallelLayout, ThoseOfDeepSeeksDeploymentsDivideV3) {
  for (const char* text : {
           "pp=2,dp=1,tp=8,ep=8",                       // two nodes
           "dp=2,tp=8,ep=16",                           //
           "dp=8,tp=4,ep=32,redundant=32",              // paper: prefill, TP4 DP8 EP32
           "dp=32,ep=32,redundant=32",                  // inference overview: prefill
           "dp=144,ep=144,redundant=32",                // inference overview: decode
           "dp=80,tp=4,ep=320,redundant=64",            // paper: decode, TP4 DP80 EP320
           "dp=320,ep=320,redundant=32,shared=32",      // CloudMatrix-Infer: decode
           "tp=8,ep=1", "dp=2,tp=8,ep=4", "pp=61", "",  // experts split; whole layers
       }) {
    EXPECT_EQ(refusal(*text == 0 ? "pp=1" : text, v3_config()), "") << text;
  }
}

TEST(ParallelLayout, NamesTheNumberThatDoesNotFitAndTheNearestThatDo) {
  const std::pair<const char*, const char*> cases[] = {
      {"pp=62", "--parallel: pp=62: expected at most the model's 61 layers, got 62"},
      {"tp=48,ep=48",
       "--parallel: tp=48: expected a divisor of the model's 128 attention heads, got 48; the "
       "nearest are 32 and 64"},
      {"tp=256",
       "tp=256: expected a divisor of the model's 128 attention heads, got 256; the "
       "nearest is 128"},
      {"dp=2,tp=8,ep=6",
       "ep=6: expected dp=2 times a divisor of tp=8 (the parts of a split expert must see the same "
       "tokens), got 6; the nearest are 4 and 8"},
      {"dp=4,ep=1", "got 1; the nearest is 4"},
      {"dp=100,ep=100",
       "ep=100: expected a divisor of the 256 experts (256 routed), got 100; the nearest are 64 "
       "and "
       "128, or redundant=44"},
      {"dp=320",
       "ep=320: expected a divisor of the 256 experts (256 routed), got 320; the nearest "
       "is 256, or redundant=64"},
      {"dp=320,redundant=32",
       "of the 288 experts (256 routed + 32 redundant), got 320; the nearest "
       "is 288, or redundant=64"},
      {"tp=2,redundant=258", "redundant=258: expected at most 256"},
      {"dp=4,shared=8", "shared=8: expected at most ep=4, got 8"},
  };
  for (const auto& [text, says] : cases)
    EXPECT_THAT(refusal(text, v3_config()), HasSubstr(says)) << text;
}

TEST(ParallelLayout, ModelsWithoutExpertsHaveNoCopiesOfThem) {
  Config dense = v3_config();
  dense.n_routed_experts = 0;
  EXPECT_EQ(refusal("dp=3,tp=2", dense), "");
  EXPECT_THAT(refusal("dp=3,tp=2,redundant=1", dense), HasSubstr("without experts"));
  Config unshared = v3_config();
  unshared.n_shared_experts = 0;
  EXPECT_THAT(refusal("dp=4,shared=4", unshared), HasSubstr("the model has no shared expert"));
}

TEST(ParallelLayout, MustMakeUpTheRanks) {
  EXPECT_TRUE(check_ranks(parsed("pp=2,tp=8"), 16).ok());
  EXPECT_THAT(check_ranks(parsed("pp=2,tp=4"), 16).error().message,
              HasSubstr("expected 8 ranks (pp=2 x dp=1 x tp=4), got 16; dp=2 makes it 16"));
  EXPECT_THAT(check_ranks(parsed("pp=2,tp=4"), 20).error().message,
              HasSubstr("got 20; for these pp and tp the nearest are 16 and 24"));
}

TEST(ParallelLayout, RanksHaveAPlaceAndGroups) {
  const ParallelLayout layout = parsed("pp=2,dp=2,tp=4,ep=4");  // each expert on two ranks
  const auto place = place_of(layout, 13);
  EXPECT_EQ(place.stage, 1);
  EXPECT_EQ(place.data, 1);
  EXPECT_EQ(place.tensor, 1);
  EXPECT_EQ(place.expert, 2);
  EXPECT_EQ(place.slice, 1);
  EXPECT_THAT(tensor_group(layout, 13), ElementsAre(12, 13, 14, 15));
  EXPECT_THAT(data_group(layout, 13), ElementsAre(9, 13));
  EXPECT_THAT(expert_group(layout, 13), ElementsAre(9, 11, 13, 15));
  EXPECT_THAT(stage_group(layout, 13), ElementsAre(8, 9, 10, 11, 12, 13, 14, 15));
  EXPECT_THAT(pipeline_group(layout, 13), ElementsAre(5, 13));
}

TEST(ParallelLayout, GroupsOfOneKindDivideTheRanks) {
  using Group = std::vector<int64_t> (*)(const ParallelLayout&, int64_t);
  for (const char* text : {"pp=3,dp=2,tp=4,ep=2", "dp=5", "tp=6,ep=3", "pp=2,dp=2,tp=2,ep=4"}) {
    const ParallelLayout layout = parsed(text);
    for (const Group group :
         {tensor_group, data_group, expert_group, stage_group, pipeline_group}) {
      for (int64_t rank = 0; rank < layout.ranks(); ++rank) {
        const auto members = group(layout, rank);
        EXPECT_EQ(std::ranges::count(members, rank), 1);
        for (const int64_t other : members) EXPECT_EQ(group(layout, other), members);
      }
    }
  }
}

TEST(ParallelLayout, PartsOfAnExpertAreOfOneTensorGroup) {
  const ParallelLayout layout = parsed("dp=3,tp=4,ep=6");
  for (int64_t rank = 0; rank < layout.ranks(); ++rank) {
    for (int64_t other = 0; other < layout.ranks(); ++other) {
      const auto a = place_of(layout, rank);
      const auto b = place_of(layout, other);
      EXPECT_TRUE(a.expert != b.expert || a.data == b.data) << rank << " " << other;
    }
  }
}

TEST(ParallelLayout, HeadsAreDividedInOrder) {
  const ParallelLayout layout = parsed("tp=8");
  EXPECT_EQ(heads_of(layout, v3_config(), 0), (Range{0, 16}));
  EXPECT_EQ(heads_of(layout, v3_config(), 7), (Range{112, 128}));
}

TEST(ParallelLayout, PartsDifferByOneAtMost) {
  EXPECT_EQ(part_of(10, 0, 4), (Range{0, 3}));
  EXPECT_EQ(part_of(10, 1, 4), (Range{3, 6}));
  EXPECT_EQ(part_of(10, 2, 4), (Range{6, 8}));
  EXPECT_EQ(part_of(10, 3, 4), (Range{8, 10}));
}

// Every way of cutting, tried out.
int64_t least_fullest(std::span<const int64_t> bytes, int64_t first, int64_t last, int64_t pp) {
  if (pp == 1) return std::accumulate(bytes.begin(), bytes.end(), first + last);
  int64_t best = INT64_MAX;
  int64_t held = first;
  for (size_t cut = 1; cut + static_cast<size_t>(pp) - 1 <= bytes.size(); ++cut) {
    held += bytes[cut - 1];
    best = std::min(best, std::max(held, least_fullest(bytes.subspan(cut), 0, last, pp - 1)));
  }
  return best;
}

TEST(ParallelLayout, StagesAreBalancedByBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 300; ++round) {
    std::vector<int64_t> bytes(1 + random() % 9);
    for (auto& each : bytes) each = static_cast<int64_t>(random() % 50);
    const auto first = static_cast<int64_t>(random() % 40);
    const auto last = static_cast<int64_t>(random() % 80);
    const auto pp = static_cast<int64_t>(1 + random() % bytes.size());
    const auto stages = balance_layers(bytes, first, last, pp);
    ASSERT_EQ(static_cast<int64_t>(stages.size()), pp);
    int64_t fullest = 0;
    int64_t next = 0;
    for (int64_t stage = 0; stage < pp; ++stage) {
      const Range layers = stages[static_cast<size_t>(stage)];
      EXPECT_EQ(layers.begin, next);
      EXPECT_GT(layers.size(), 0);
      next = layers.end;
      int64_t held = (stage == 0 ? first : 0) + (stage == pp - 1 ? last : 0);
      for (int64_t layer = layers.begin; layer < layers.end; ++layer) {
        held += bytes[static_cast<size_t>(layer)];
      }
      fullest = std::max(fullest, held);
    }
    EXPECT_EQ(next, static_cast<int64_t>(bytes.size()));
    EXPECT_EQ(fullest, least_fullest(bytes, first, last, pp));
  }
}

TEST(ParallelLayout, ExpertsOfDeepSeeksDecodeDeployments) {
  const auto ep144 = place_experts(parsed("dp=144,redundant=32"), v3_config());
  EXPECT_THAT(ep144[0], ElementsAre(0, 1));
  EXPECT_EQ(ep144[143].size(), 2u);
  const auto ep320 = place_experts(parsed("dp=320,redundant=32,shared=32"), v3_config());
  EXPECT_THAT(ep320[0], ElementsAre(0));
  EXPECT_THAT(ep320[255], ElementsAre(255));
  EXPECT_EQ(ep320[256].size(), 1u);
  EXPECT_THAT(ep320[288], ElementsAre(kSharedExpert));
  EXPECT_THAT(ep320[319], ElementsAre(kSharedExpert));
}

TEST(ParallelLayout, ExpertsAreSpreadEvenlyAndNeverTwiceOnOneRank) {
  std::mt19937 random(11);
  int tried = 0;
  for (int round = 0; round < 6000; ++round) {
    Config config = v3_config();
    config.n_routed_experts = static_cast<int64_t>(1 + random() % 40);
    ParallelLayout layout;
    layout.dp = layout.ep = static_cast<int64_t>(1 + random() % 50);
    layout.redundant = static_cast<int64_t>(random() % 100);
    layout.shared = static_cast<int64_t>(random() % 4);
    if (!check_layout(layout, config).ok()) continue;
    ++tried;
    std::map<int64_t, int64_t> copies;
    const auto placed = place_experts(layout, config);
    ASSERT_EQ(static_cast<int64_t>(placed.size()), layout.ep);
    for (const auto& here : placed) {
      EXPECT_EQ(here.size(), placed.front().size());
      EXPECT_EQ(std::set(here.begin(), here.end()).size(), here.size()) << layout.text();
      for (const int64_t expert : here) ++copies[expert];
    }
    EXPECT_EQ(copies[kSharedExpert], layout.shared);
    copies.erase(kSharedExpert);
    int64_t routed = 0;
    for (const auto& [expert, count] : copies) routed += count;
    EXPECT_EQ(static_cast<int64_t>(copies.size()), config.n_routed_experts);
    EXPECT_EQ(routed, config.n_routed_experts + layout.redundant);
  }
  EXPECT_GT(tried, 200);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
