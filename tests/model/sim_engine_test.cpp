// The whole engine on the simulated chip: a request's tokens are its own, whatever else runs and
// however it is cut up; and a model of any size starts.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "backends/sim/sim_backend.h"
#include "device/device.h"
#include "engine/testing/harness.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/synthetic.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

struct Setting {
  const char* model = "v3-mini-mtp";
  const char* costs = "free";
  int64_t prefill_chunk = 64;
  int64_t drafts = 0;
  int64_t max_running = 8;
  int64_t kv_blocks = 64;
};

class SimEngine {
 public:
  explicit SimEngine(const Setting& setting)
      : device_(device::Device::open(*fathom_sim_backend_entry(FATHOM_ABI_VERSION),
                                     {.index = 0, .threads = 0, .kernels = setting.costs})
                    .value()) {
    const auto config = dsv3::Config::parse(dsv3::synthetic_config(setting.model).value()).value();
    const models::RunLimits limits = {.max_step_tokens = 512,
                                      .max_logit_rows = 64,
                                      .max_context = 512,
                                      .max_step_sequences = setting.max_running,
                                      .num_kv_blocks = setting.kv_blocks,
                                      .kv_block_size = 32,
                                      .kv_dtype = FATHOM_BF16};
    auto model = dsv3::Model::load(std::make_shared<const dsv3::SyntheticSource>(), config,
                                   *device_, limits, {.format = models::WeightFormat::kFp8})
                     .value();
    engine_ = engine::make_engine(std::move(model), {.max_running = setting.max_running,
                                                     .prefill_chunk = setting.prefill_chunk,
                                                     .speculate = setting.drafts,
                                                     .speculate_always = true})
                  .value();
  }

  std::vector<std::vector<engine::TokenId>> answers(const std::vector<engine::Request>& requests) {
    std::vector<engine::Client> clients(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) {
      engine::submit(*engine_, requests[i], clients[i]);
    }
    std::vector<std::vector<engine::TokenId>> all;
    for (const auto& client : clients) all.push_back(client.wait().tokens);
    return all;
  }
  engine::Engine& engine() { return *engine_; }

 private:
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<engine::Engine> engine_;
};

std::vector<engine::Request> requests(int64_t answer = 40) {
  std::vector<engine::Request> all;
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    engine::Request request = engine::some_request(static_cast<int64_t>(20 * seed), answer, seed);
    request.sampling.ignore_eos = true;
    request.sampling.temperature = seed % 2 == 0 ? 0.0f : 1.0f;
    all.push_back(std::move(request));
  }
  return all;
}

TEST(SimEngine, ARequestsTokensAreItsOwn) {
  const auto all = requests();
  const auto together = SimEngine({}).answers(all);
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(together[i].size(), 40u);
    for (size_t j = 0; j < i; ++j) EXPECT_NE(together[i], together[j]);
    EXPECT_EQ(SimEngine({}).answers({all[i]}).front(), together[i]) << i;
  }
  EXPECT_EQ(SimEngine({.prefill_chunk = 7}).answers(all), together);
  EXPECT_EQ(SimEngine({.costs = "launch=1"}).answers(all), together);

  // Steps that take a while, so that the requests do meet.
  SimEngine crowded({.costs = "launch=5", .kv_blocks = 12});
  const auto longer = requests(120);
  EXPECT_EQ(crowded.answers(longer), SimEngine({}).answers(longer));
  EXPECT_GT(crowded.engine().stats().preemptions, 0u);

  SimEngine again({});
  EXPECT_EQ(again.answers(all), together);
  EXPECT_EQ(again.answers(all), together);
  EXPECT_GT(again.engine().stats().prefix_cache_hits, 0u);
}

double accepted_share(engine::Engine& engine) {
  const auto stats = engine.stats();
  return static_cast<double>(stats.accepted_draft_tokens) /
         static_cast<double>(std::max<decltype(stats.draft_tokens)>(stats.draft_tokens, 1));
}

TEST(SimEngine, DraftsComeTrueAsOftenAsTold) {
  const auto all = requests();
  const auto plain = SimEngine({}).answers(all);
  for (const int64_t drafts : {1, 2}) {
    SimEngine always({.drafts = drafts});
    EXPECT_EQ(always.answers(all), plain);
    SimEngine half({.costs = "drafts=0.5", .drafts = drafts});
    EXPECT_EQ(half.answers(all), plain);
    SimEngine never({.costs = "drafts=0", .drafts = drafts});
    EXPECT_EQ(never.answers(all), plain);
    EXPECT_GT(accepted_share(always.engine()), 0.95);
    // A draft behind one that failed fails, too.
    EXPECT_NEAR(accepted_share(half.engine()), drafts == 1 ? 0.5 : 0.375, 0.15);
    EXPECT_LT(accepted_share(never.engine()), 0.05);
  }
}

int64_t resident_mib() {
  std::ifstream file("/proc/self/statm");
  int64_t pages = 0;
  int64_t resident = 0;
  file >> pages >> resident;
  return resident * 4096 >> 20;
}

TEST(SimEngine, StartsAModelOf671BillionParameters) {
  const int64_t before = resident_mib();
  SimEngine v3({.model = "v3"});
  const auto all = requests();
  const auto answers = v3.answers(all);
  EXPECT_LT(resident_mib() - before, 512);
  EXPECT_EQ(v3.answers({all[2]}).front(), answers[2]);
}

}  // namespace
}  // namespace fathom
