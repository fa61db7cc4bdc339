#include "api/http/metrics.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
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
  Metrics metrics({.model = "m"});
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

TEST(Metrics, CountsHowRowsReachExperts) {
  Metrics metrics({.model = "m"});
  engine::EngineStats stats;
  EXPECT_EQ(metrics.page(stats, {}).find("fathom_expert_exchanges_total{"), std::string::npos);
  stats.expert_exchanges = {"operator", 7};
  metrics.page(stats, {});
  stats.expert_exchanges.count = 9;
  const std::string page = metrics.page(stats, {});
  EXPECT_NE(page.find("fathom_expert_exchanges_total{model_name=\"m\",way=\"operator\"} 9\n"),
            std::string::npos)
      << page;
}

TEST(Metrics, CountsEachExpertWhereAskedTo) {
  Metrics metrics({.model = "m", .each_expert = true});
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
  Metrics metrics({.model = "m", .each_expert = true});
  EXPECT_EQ(metrics.page({}, {}).find("fathom_expert_tokens_total{"), std::string::npos);
}

void expect_lines(const std::string& page, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    EXPECT_NE(page.find(line + "\n"), std::string::npos) << line << "\n" << page;
  }
}

RequestRecord record_of(const std::string& owner, int status) {
  RequestRecord record;
  record.owner = owner;
  record.status = status;
  return record;
}

TEST(Metrics, SaysWhatTheServerIsAndHolds) {
  Metrics metrics({.model = "m", .version = "1.2.3", .max_waiting = 5, .max_context = 700});
  engine::EngineStats stats;
  stats.max_running = 64;
  stats.kv_blocks_total = 33;
  const std::string page = metrics.page(stats, {});
  EXPECT_NE(page.find("version=\"1.2.3\"} 1\n"), std::string::npos) << page;
  EXPECT_NE(page.find("\nfathom_build_info{"), std::string::npos);
  expect_lines(page, {"fathom_max_requests_running{model_name=\"m\"} 64",
                      "fathom_max_requests_waiting{model_name=\"m\"} 5",
                      "fathom_kv_blocks{model_name=\"m\"} 33",
                      "fathom_max_context_tokens{model_name=\"m\"} 700"});
}

double value_of(const std::string& page, const std::string& name) {
  const size_t at = page.find("\n" + name + " ");
  EXPECT_NE(at, std::string::npos) << name;
  return at == std::string::npos ? 0 : std::stod(page.substr(at + name.size() + 2));
}

TEST(Metrics, SaysWhatTheProcessTakes) {
  Metrics metrics({.model = "m"});
  const std::string page = metrics.page({}, {});
  EXPECT_GT(value_of(page, "process_resident_memory_bytes"), 1e5);
  EXPECT_GT(value_of(page, "process_virtual_memory_bytes"),
            value_of(page, "process_resident_memory_bytes"));
  EXPECT_GT(value_of(page, "process_cpu_seconds_total"), 0);
  const double open = value_of(page, "process_open_fds");
  EXPECT_GE(open, 3);
  EXPECT_GE(value_of(page, "process_max_fds"), open);
  const double started = value_of(page, "process_start_time_seconds");
  EXPECT_LE(started, std::time(nullptr) + 1);
  EXPECT_GE(started, std::time(nullptr) - 3600);
  const int more = dup(STDERR_FILENO);
  EXPECT_EQ(value_of(metrics.page({}, {}), "process_open_fds"), open + 1);
  close(more);
}

TEST(Metrics, CountsWhatOwnersUse) {
  Metrics metrics({.model = "m"});
  RequestRecord record = record_of("alice", 200);
  record.prompt_tokens = 10;
  record.cached_tokens = 4;
  record.answer_tokens = 7;
  metrics.request_ended(record);
  metrics.request_ended(record);
  metrics.request_ended(record_of("alice", 499));
  metrics.request_ended(record_of("", 401));
  RequestRecord probe = record_of("bob", 200);
  probe.probe = true;
  metrics.request_ended(probe);
  const std::string page = metrics.page({}, {});
  expect_lines(page, {"fathom_owner_requests_total{owner=\"alice\",status=\"2xx\"} 2",
                      "fathom_owner_requests_total{owner=\"alice\",status=\"4xx\"} 1",
                      "fathom_owner_requests_total{owner=\"-\",status=\"4xx\"} 1",
                      "fathom_owner_prompt_tokens_total{owner=\"alice\"} 20",
                      "fathom_owner_cached_tokens_total{owner=\"alice\"} 8",
                      "fathom_owner_answer_tokens_total{owner=\"alice\"} 14"});
  EXPECT_EQ(page.find("bob"), std::string::npos);
}

TEST(Metrics, OwnersBeyondSomeAreOne) {
  Metrics metrics({.model = "m"});
  for (int i = 0; i < 1500; ++i) {
    metrics.request_ended(record_of("owner" + std::to_string(i), 200));
  }
  metrics.request_ended(record_of("owner7", 200));
  const std::string page = metrics.page({}, {});
  expect_lines(page, {"fathom_owner_requests_total{owner=\"owner7\",status=\"2xx\"} 2",
                      "fathom_owner_requests_total{owner=\"other\",status=\"2xx\"} 500"});
  EXPECT_EQ(page.find("owner1000"), std::string::npos);
}

}  // namespace
}  // namespace fathom::api
