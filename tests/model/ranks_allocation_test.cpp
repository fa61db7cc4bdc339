// Steps of a model over several ranks allocate nothing, on any rank.
#include <gtest/gtest.h>

#include <memory>
#include <thread>
#include <tuple>
#include <vector>

#include "base/testing/allocation_counter.h"
#include "chips.h"
#include "meeting_group.h"
#include "models/deepseek_v3/parallel_model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";

// ParallelLayout and chip.
class RanksAllocation : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  RanksAllocation()
      : config_(dsv3::Config::load(kTiny / "config.json").value()),
        source_(dsv3::CheckpointSource::open(kTiny, config_).value()),
        plan_(dsv3::ShardPlan::make(
                  config_, dsv3::ParallelLayout::parse(std::get<0>(GetParam())).value(),
                  dsv3::tensor_manifest(config_, *source_).value(), models::WeightFormat::kBf16)
                  .value()) {}

  std::unique_ptr<dsv3::Model> load(device::Device& device, comm::Group& world) {
    return dsv3::Model::load_shard(source_, plan_, world, device, prompt_limits(),
                                   {.format = models::WeightFormat::kBf16, .threads = 1})
        .value();
  }

  void follow(comm::Group& world) {
    const auto device = open_device();
    const auto own = load(*device, world);
    EXPECT_TRUE(dsv3::follow(*own, world).ok());
  }

  static std::unique_ptr<device::Device> open_device() {
    return open_chip(std::get<1>(GetParam()), {.index = 0, .threads = 1, .kernels = "native"});
  }

  dsv3::Config config_;
  std::shared_ptr<const models::TensorSource> source_;
  dsv3::ShardPlan plan_;
};

// Prompts of many rows, whose sums are scattered, drafts, and decoding.
TEST_P(RanksAllocation, StepsAllocateNothing) {
  const auto ranks = static_cast<size_t>(plan_.layout().ranks());
  const int64_t dp = plan_.layout().dp;
  const auto meeting = std::make_shared<Meeting>(ranks);
  std::vector<std::unique_ptr<MeetingGroup>> worlds;
  for (size_t rank = 0; rank < ranks; ++rank) {
    worlds.push_back(std::make_unique<MeetingGroup>(meeting, static_cast<int>(rank)));
  }
  std::vector<std::jthread> others;
  for (size_t rank = 1; rank < ranks; ++rank) {
    others.emplace_back([this, &world = *worlds[rank]] { follow(world); });
  }
  const auto device = open_device();
  dsv3::ParallelModel model(load(*device, *worlds[0]), *worlds[0], 0);
  const std::vector<int64_t> zero(kPrompts.size());
  std::vector<int64_t> next = kPrompts;
  for (int64_t& end : next) ++end;
  const PromptStep prompts(dp, zero, kPrompts, 0, false);
  const PromptStep drafts(dp, zero, kPrompts, 1, false);
  const PromptStep decode(dp, kPrompts, next, 0, true);
  const PromptDraws draws;
  const std::vector<int32_t> read = {1};
  const auto steps = [&] {
    return model.forward(prompts.batch()).ok() &&
           model.draft(drafts.batch(), drafts.sources()).ok() &&
           model.begin_step(decode.batch()).ok() && model.begin_draws(draws.reading(read)).ok() &&
           model.finish_step().ok();
  };
  ASSERT_TRUE(steps());
  AllocationCounter allocations;
  const bool good = steps() && steps();
  EXPECT_EQ(allocations.stop(), 0);
  EXPECT_TRUE(good);
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, RanksAllocation,
    ::testing::Combine(::testing::Values("tp=2", "dp=2", "pp=2", "tp=2,dp=2,ep=2"),
                       ::testing::Values(kCpu, kCpuDiscrete, kWithoutCollectives)));

}  // namespace
}  // namespace fathom
