// Ranks that are threads, each with its experts and what its tokens chose; no kernels.
#include "models/deepseek_v3/expert_balancer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "comm/testing/memory_transport.h"
#include "comm/world.h"
#include "models/deepseek_v3/sharding/expert_placement.h"
#include "models/deepseek_v3/testing/examples.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "models/quantize/quantize.h"
#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kBusyExpert = 3;  // rank 0's own
constexpr float kBusyTokens = 400, kTokens = 4;

std::vector<float> first_row(const Weight& weight) {
  std::vector<float> row(static_cast<size_t>(weight.k));
  dequantize_row(weight, 0, row.data());
  return row;
}

// A rank of a model: what ExpertBalancer works on. Without a world it is alone.
struct BalancedRank {
  BalancedRank(const Config& config_of_model, std::shared_ptr<const TensorSource> checkpoint,
               const ShardPlan& plan_of_model, comm::Group* world)
      : config(config_of_model),
        source(std::move(checkpoint)),
        plan(plan_of_model),
        rank(world == nullptr ? 0 : world->rank()) {
    if (world == nullptr) return;
    ranks = Ranks::join(*world, plan.layout()).value();
    exchange = ExpertExchange::make(*device, config, shard, {}, 1, layers, nullptr).value();
  }

  ExpertBalancer balancer() {
    return {{.config = config,
             .shard = shard,
             .ranks = ranks,
             .device = *device,
             .layers = layers,
             .weights = weights,
             .counts = counts,
             .exchange = exchange ? &*exchange : nullptr},
            {.source = source, .plan = &plan, .load = {}}};
  }

  // As the gate counts them, in all layers: a part of all tokens.
  void choose_experts(float part) {
    for (int64_t layer = 0; layer < layers; ++layer) {
      for (int64_t expert = 0; expert < config.n_routed_experts; ++expert) {
        const float tokens = expert == kBusyExpert ? kBusyTokens : kTokens;
        counts.totals(layer)[expert] += static_cast<int64_t>(tokens * part);
      }
    }
  }
  std::vector<float> row_of(int64_t layer, int64_t expert) const {
    const auto loaded = load_expert(source, plan, rank, layer, expert, *device, {});
    return first_row(loaded->weights.w1);
  }

  const Config& config;
  std::shared_ptr<const TensorSource> source;
  const ShardPlan& plan;
  int rank;
  FakeChip chip;
  std::unique_ptr<device::Device> device = chip.open();
  RankShard shard = shard_of(plan, rank);
  Ranks ranks;
  Weights weights = load_weights(source, plan, rank, *device, {}).value();
  int64_t layers = shard.layers.size() + (weights.mtp ? 1 : 0);
  device::Buffer totals =
      device->alloc(ExpertCounts::bytes(layers, config.n_routed_experts)).value();
  ExpertCounts counts = ExpertCounts::make(*device, static_cast<int64_t*>(totals.data()), layers,
                                           config.n_routed_experts)
                            .value();
  std::optional<ExpertExchange> exchange;
};

class ExpertBalancerTest : public ::testing::Test {
 protected:
  ShardPlan plan_of(const std::string& layout) {
    return ShardPlan::make(config_, ParallelLayout::parse(layout).value(),
                           tensor_manifest(config_, *source_).value(), WeightFormat::kAsStored)
        .value();
  }

  // body(rank, its number) of both ranks of a plan, at once.
  template <typename Body>
  void run_ranks(const ShardPlan& plan, const Body& body) {
    comm::MemoryJob job(2);
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < 2; ++rank) {
      threads.emplace_back([&, rank] {
        const comm::Launch launch = {
            .rank = rank, .size = 2, .local_size = 2, .job = {}, .rank_variable = {}};
        const std::chrono::milliseconds patience(60000);
        const auto world = comm::World::join_threads(job.transport(rank), launch, {},
                                                     {.start_deadline = patience,
                                                      .lost_after = patience,
                                                      .operation_deadline = patience,
                                                      .on_lost = [](const Error&) {}});
        ASSERT_TRUE(world.ok()) << world.error().message;
        {
          BalancedRank own(config_, source_, plan, &(*world)->group());
          body(own, rank);
        }
        EXPECT_TRUE((*world)->leave().ok());
      });
    }
  }

  void expect_loads(const ExpertLoads& loads, double busy, double others) {
    ASSERT_EQ(loads.size(), 4u);  // the first of five layers is dense
    for (size_t i = 0; i < loads.size(); ++i) {
      EXPECT_EQ(loads[i].layer, static_cast<int64_t>(i) + config_.first_k_dense_replace);
      for (int64_t expert = 0; expert < config_.n_routed_experts; ++expert) {
        EXPECT_EQ(loads[i].tokens[static_cast<size_t>(expert)],
                  expert == kBusyExpert ? busy : others);
      }
    }
  }

  Config config_ = tiny_config();
  std::shared_ptr<const TensorSource> source_ = CheckpointSource::open(kTiny, config_).value();
};

// On both ranks: the loads of all tokens, and the placement that they call for.
TEST_F(ExpertBalancerTest, RanksAgreeOnLoadsAndPlaces) {
  const ShardPlan plan = plan_of("dp=2,redundant=2");
  std::vector<float> loads(static_cast<size_t>(config_.n_routed_experts), kTokens);
  loads[kBusyExpert] = kBusyTokens;
  const auto expected =
      balance_experts(plan.layout(), place_experts(plan.layout(), config_), loads);
  run_ranks(plan, [&](BalancedRank& own, int rank) {
    ExpertBalancer balancer = own.balancer();
    own.choose_experts(rank == 0 ? 0.25f : 0.75f);
    const auto balance = balancer.balance();
    ASSERT_TRUE(balance.ok()) << balance.error().message;
    expect_loads(balance->loads, kBusyTokens, kTokens);
    EXPECT_GT(balance->before, 1.5);
    EXPECT_LT(balance->after, balance->before);
    EXPECT_DOUBLE_EQ(balance->loads.front().rank_imbalance, static_cast<float>(balance->before));
    for (int64_t layer = 1; layer < own.layers; ++layer) {
      EXPECT_EQ(own.exchange->placement(layer), expected);
    }
    const auto again = balancer.balance();  // nothing was chosen since
    ASSERT_TRUE(again.ok());
    expect_loads(again->loads, 0, 0);
  });
}

TEST_F(ExpertBalancerTest, ARankLoadsTheExpertsThatItGets) {
  const ShardPlan plan = plan_of("dp=2,redundant=2");
  run_ranks(plan, [&](BalancedRank& own, int rank) {
    const auto before = own.exchange->placement(1)[static_cast<size_t>(rank)];
    ExpertBalancer balancer = own.balancer();
    own.choose_experts(0.5f);
    const auto balance = balancer.balance();
    ASSERT_TRUE(balance.ok()) << balance.error().message;
    const auto& after = own.exchange->placement(1)[static_cast<size_t>(rank)];
    EXPECT_TRUE(std::ranges::find(after, kBusyExpert) != after.end());
    const MoeWeights& moe = *own.weights.blocks[1].moe;
    int64_t changed = 0;
    for (size_t place = 0; place < after.size(); ++place) {
      EXPECT_EQ(first_row(moe.w1[place]), own.row_of(1, after[place]));
      EXPECT_EQ(moe.table[place].gate, moe.w1[place].data);
      changed += after[place] == before[place] ? 0 : 1;
    }
    EXPECT_EQ(balance->loaded, 4 * changed);  // in each of the layers with experts
  });
}

TEST_F(ExpertBalancerTest, ARankAloneCountsAndMovesNothing) {
  const ShardPlan plan = plan_of("tp=1");
  BalancedRank own(config_, source_, plan, nullptr);
  ExpertBalancer balancer = own.balancer();
  own.choose_experts(1);
  const auto balance = balancer.balance();
  ASSERT_TRUE(balance.ok()) << balance.error().message;
  expect_loads(balance->loads, kBusyTokens, kTokens);
  EXPECT_EQ(balance->loaded, 0);
  EXPECT_EQ(balance->before, 1);
  EXPECT_EQ(balance->after, 1);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
