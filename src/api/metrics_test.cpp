#include "api/metrics.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace fathom::api {
namespace {

engine::EngineStats with_loads(models::ExpertLoads loads) {
  engine::EngineStats stats;
  stats.expert_loads = std::make_shared<const models::ExpertLoads>(std::move(loads));
  return stats;
}

TEST(Metrics, ShowsHowUnevenEachLayersExpertsAre) {
  Metrics metrics("m", false);
  const std::string page =
      metrics.page(with_loads({{3, {10, 30, 0, 0}, 1.5}, {4, {0, 0, 0, 0}, 1}}), {});
  for (const char* line : {
           "fathom_expert_rank_imbalance{layer=\"3\",model_name=\"m\"} 1.5\n",
           "fathom_expert_imbalance{layer=\"3\",model_name=\"m\"} 3\n",
           "fathom_expert_imbalance{layer=\"4\",model_name=\"m\"} 1\n",
       }) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page;
  }
  EXPECT_EQ(page.find("fathom_expert_tokens_total{"), std::string::npos);
}

TEST(Metrics, CountsEachExpertWhereAskedTo) {
  Metrics metrics("m", true);
  metrics.page(with_loads({{3, {10, 30}, 1.5}}), {});
  const std::string page = metrics.page(with_loads({{3, {12, 31}, 1.25}}), {});
  for (const char* line : {
           "fathom_expert_tokens_total{expert=\"0\",layer=\"3\",model_name=\"m\"} 12\n",
           "fathom_expert_tokens_total{expert=\"1\",layer=\"3\",model_name=\"m\"} 31\n",
           "fathom_expert_rank_imbalance{layer=\"3\",model_name=\"m\"} 1.25\n",
       }) {
    EXPECT_NE(page.find(line), std::string::npos) << line << page;
  }
}

TEST(Metrics, SaysNothingOfExpertsThatAreNotCounted) {
  EXPECT_EQ(Metrics("m", true).page({}, {}).find("fathom_expert_tokens_total{"), std::string::npos);
}

}  // namespace
}  // namespace fathom::api
