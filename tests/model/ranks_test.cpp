// The embedded model over ranks that are threads: forward passes, drafts and decoding give the
// logits of the whole model. tests/e2e/ranks_test.py has the same with processes, through the API,
// which does not show drafts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "chips.h"
#include "comm/memory_transport_for_tests.h"
#include "comm/world.h"
#include "models/deepseek_v3/checkpoint_source.h"
#include "models/deepseek_v3/parallel_model.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using std::chrono::milliseconds;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";
constexpr float kTolerance = 2e-4f;

class RanksTest : public ::testing::TestWithParam<const char*> {
 protected:
  RanksTest()
      : config_(dsv3::Config::load(kTiny / "config.json").value()),
        source_(dsv3::CheckpointSource::open(kTiny, config_).value()) {}

  static std::unique_ptr<device::Device> open_device(const std::string& chip) {
    return open_chip(chip, {.index = 0, .threads = 1, .kernels = "reference"});
  }

  // The same for every layout, so it runs once.
  const Outcome& whole() {
    static const Outcome outcome = [this] {
      const auto device = open_device(kCpu);
      const auto model =
          dsv3::Model::load(source_, config_, *device, prompt_limits(), load_).value();
      return run_prompts(*model, 1).value();
    }();
    return outcome;
  }

  // What one rank does; rank 0's outcome.
  Result<Outcome> take_part(comm::World& world, const dsv3::ShardPlan& plan,
                            const std::string& chip) {
    const auto device = open_device(chip);
    FATHOM_ASSIGN(auto own, dsv3::Model::load_share(source_, plan, world.group(), *device,
                                                    prompt_limits(), load_));
    if (world.group().rank() > 0) {
      FATHOM_TRY(dsv3::follow(*own, world.group()));
      return Outcome();
    }
    // Experts are placed anew between the prompts and what is generated, where some are redundant.
    dsv3::ParallelModel model(std::move(own), world.group(), 1);
    return run_prompts(model, plan.layout().dp);
  }

  std::string join(comm::Transport& transport, int rank, const dsv3::ShardPlan& plan,
                   const std::string& chip, Outcome& outcome) {
    const auto ranks = static_cast<int>(plan.layout().ranks());
    const comm::Launch launch = {
        .rank = rank, .size = ranks, .local_size = ranks, .job = {}, .rank_variable = {}};
    auto world = comm::World::join_threads(transport, launch, {chip, "1", "a", "b"},
                                           {.start_deadline = milliseconds(60000),
                                            .lost_after = milliseconds(60000),
                                            .operation_deadline = milliseconds(60000),
                                            .on_lost = [](const Error&) {}});
    if (!world) return world.error().message;
    auto got = take_part(**world, plan, chip);
    if (!got) return got.error().message;
    if (rank == 0) outcome = std::move(*got);
    const auto left = (*world)->leave();
    return left ? "" : left.error().message;
  }

  // Of all ranks of the layout together.
  Outcome run_ranks(const std::string& chip) {
    const auto plan =
        dsv3::ShardPlan::make(config_, dsv3::Layout::parse(GetParam()).value(),
                              dsv3::planned_tensors(config_, *source_).value(), load_.format)
            .value();
    const auto ranks = static_cast<size_t>(plan.layout().ranks());
    comm::MemoryJob job(static_cast<int>(ranks));
    std::vector<std::string> errors(ranks);
    Outcome got;
    {
      std::vector<std::jthread> threads;
      for (size_t rank = 0; rank < ranks; ++rank) {
        threads.emplace_back([&, rank] {
          const auto number = static_cast<int>(rank);
          errors[rank] = join(job.transport(number), number, plan, chip, got);
        });
      }
    }
    EXPECT_EQ(errors, std::vector<std::string>(ranks));
    return got;
  }

  dsv3::Config config_;
  std::shared_ptr<const models::TensorSource> source_;
  const dsv3::LoadOptions load_ = {.format = models::WeightFormat::kBf16, .threads = 1};
};

// And where the host cannot touch the chips' memory they have the same bits.
TEST_P(RanksTest, LogitsAreThoseOfTheWholeModel) {
  const auto& expected = whole().logits;
  const Outcome outcome = run_ranks(kCpu);
  const auto& got = outcome.logits;
  ASSERT_EQ(got.size(), expected.size());
  for (size_t call = 0; call < got.size(); ++call) {
    for (size_t s = 0; s < kPrompts.size(); ++s) {
      ASSERT_EQ(got[call][s].size(), expected[call][s].size());
      float worst = 0;
      for (size_t i = 0; i < got[call][s].size(); ++i) {
        worst = std::max(worst, std::abs(got[call][s][i] - expected[call][s][i]));
      }
      EXPECT_LT(worst, kTolerance) << fmt::format("call {}, sequence {}", call, s);
    }
  }
  EXPECT_TRUE(run_ranks(kCpuDiscrete) == outcome);
}

// With dp=4 one data index is idle.
INSTANTIATE_TEST_SUITE_P(Layouts, RanksTest,
                         ::testing::Values("tp=2", "tp=2,ep=1", "dp=2", "pp=2", "dp=4,redundant=8",
                                           "dp=2,shared=2", "tp=2,dp=2,ep=2", "pp=2,dp=2"));

}  // namespace
}  // namespace fathom
