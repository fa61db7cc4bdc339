// Who draws a token where a model is divided over ranks, and what is sent for it.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

#include "chips.h"
#include "meeting_group.h"
#include "models/deepseek_v3/parallel_model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";

using Sent = std::map<std::pair<std::string, int>, size_t>;  // bytes, by name and sender

// Layout and chip.
class RanksDraws : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  RanksDraws()
      : layout_(dsv3::ParallelLayout::parse(std::get<0>(GetParam())).value()),
        config_(dsv3::Config::load(kTiny / "config.json").value()),
        source_(dsv3::CheckpointSource::open(kTiny, config_).value()),
        plan_(dsv3::ShardPlan::make(config_, layout_,
                                    dsv3::tensor_manifest(config_, *source_).value(),
                                    models::WeightFormat::kBf16)
                  .value()) {}

  // Runs `steps` on rank 0 while the other ranks follow it.
  template <typename Steps>
  void run(const Steps& steps) {
    const auto ranks = static_cast<size_t>(layout_.ranks());
    drawn_on_host_.assign(ranks, 0);
    const auto meeting = std::make_shared<Meeting>(ranks);
    meeting->on_send = [this](int from, std::string_view name, size_t bytes) {
      const std::lock_guard lock(mutex_);
      sent_[{std::string(name), from}] += bytes;
    };
    std::vector<std::unique_ptr<MeetingGroup>> worlds;
    for (size_t rank = 0; rank < ranks; ++rank) {
      worlds.push_back(std::make_unique<MeetingGroup>(meeting, static_cast<int>(rank)));
    }
    std::vector<std::jthread> others;
    for (size_t rank = 1; rank < ranks; ++rank) {
      others.emplace_back([this, rank, &world = *worlds[rank]] {
        const auto device = open_device();
        const auto own = load(*device, world);
        EXPECT_TRUE(dsv3::follow(*own, world).ok());
        drawn_on_host_[rank] = own->drawn_on_host();
      });
    }
    const auto device = open_device();
    dsv3::ParallelModel model(load(*device, *worlds[0]), *worlds[0], 0);
    steps(model);
  }
  std::unique_ptr<dsv3::Model> load(device::Device& device, comm::Group& world) {
    return dsv3::Model::load_shard(source_, plan_, world, device, prompt_limits(),
                                   {.format = models::WeightFormat::kBf16, .threads = 1})
        .value();
  }
  static std::unique_ptr<device::Device> open_device() {
    return open_chip(std::get<1>(GetParam()), {.index = 0, .threads = 1, .kernels = "native"});
  }

  // What has been sent to rank 0 under a name since the last time.
  Sent take_sent(const std::string& name) {
    const std::lock_guard lock(mutex_);
    Sent taken;
    for (const auto& [key, bytes] : std::exchange(sent_, {})) {
      if (key.first == name) taken[key] = bytes;
    }
    return taken;
  }
  int drawing_rank(int64_t data) const {
    return static_cast<int>((layout_.pp - 1) * layout_.stage_ranks() + data * layout_.tp);
  }
  // Bytes that its ranks would send for the sequences of each data index.
  Sent of_sequences(const std::string& name, size_t bytes) const {
    Sent expected;
    for (size_t s = 0; s < kPrompts.size(); ++s) {
      const int rank = drawing_rank(static_cast<int64_t>(s) % layout_.dp);
      if (rank != 0) expected[{name, rank}] += bytes;
    }
    return expected;
  }

  dsv3::ParallelLayout layout_;
  dsv3::Config config_;
  std::shared_ptr<const models::TensorSource> source_;
  dsv3::ShardPlan plan_;
  std::mutex mutex_;
  Sent sent_;
  std::vector<uint64_t> drawn_on_host_;
};

TEST_P(RanksDraws, EachDataIndexDrawsItsOwnAndSendsLogitsOnlyWhereTheyAreRead) {
  const size_t logit_bytes = static_cast<size_t>(config_.vocab_size) * sizeof(float);
  run([&](dsv3::ParallelModel& model) {
    const std::vector<int64_t> zero(kPrompts.size());
    const PromptStep prompts(layout_.dp, zero, kPrompts, 0, false);
    const PromptDraws draws;
    const auto step = [&](const models::StepDraws& asked) -> models::StepResult {
      EXPECT_TRUE(model.begin_step(prompts.batch()).ok());
      EXPECT_TRUE(model.begin_draws(asked).ok());
      return model.finish_step().value();
    };
    const models::StepResult all = step(draws.reading_all());
    const std::vector<int32_t> expected = draws.by_oracle(all.logits);
    EXPECT_TRUE(std::ranges::equal(all.tokens, expected));
    EXPECT_EQ(take_sent("logits"), of_sequences("logits", logit_bytes));

    EXPECT_TRUE(std::ranges::equal(step(draws.reading({})).tokens, expected));
    EXPECT_EQ(take_sent("logits"), Sent());
    EXPECT_TRUE(std::ranges::equal(step(draws.reading({})).tokens, expected));
    EXPECT_EQ(take_sent("tokens"), of_sequences("tokens", sizeof(int32_t)));
    EXPECT_TRUE(step({}).tokens.empty());
    EXPECT_EQ(take_sent("tokens"), Sent());
  });
  if (std::string(std::get<1>(GetParam())) != kWithoutSample) return;
  Sent drawn;
  for (int rank = 1; rank < layout_.ranks(); ++rank) {
    const size_t tokens = drawn_on_host_[static_cast<size_t>(rank)];
    if (tokens > 0) drawn[{"tokens", rank}] = tokens;
  }
  EXPECT_EQ(drawn, of_sequences("tokens", 3)) << "three steps draw";
}

// As long as a message has no room for.
TEST_P(RanksDraws, ListsThatAreTooLongAreDrawnWithOnRank0) {
  sampling::Parameters params = {.temperature = 0};
  params.logit_bias.assign(dsv3::DrawLayout::kListBytes * 4, {1, 0.0f});
  params.logit_bias.emplace_back(77, 100.0f);
  const std::vector<int32_t> rows = {0, 1, 2};
  const std::vector<sampling::Draw> draws(
      rows.size(), {.params = params, .tokens = {}, .generated_from = 0, .banned = {}, .seed = 0});
  run([&](dsv3::ParallelModel& model) {
    const std::vector<int64_t> zero(kPrompts.size());
    const PromptStep prompts(layout_.dp, zero, kPrompts, 0, false);
    const auto logits = model.forward(prompts.batch()).value();
    const auto vocab = static_cast<size_t>(model.vocab_size());
    const std::vector<float> last(logits.end() - static_cast<int64_t>(vocab), logits.end());
    take_sent("logits");
    ASSERT_TRUE(model.begin_step(prompts.batch()).ok());
    ASSERT_TRUE(
        model.begin_draws({.draws = draws, .rows = rows, .read = std::span(rows).last(1)}).ok());
    const models::StepResult result = model.finish_step().value();
    EXPECT_EQ(std::vector<int32_t>(result.tokens.begin(), result.tokens.end()),
              (std::vector<int32_t>{77, 77, 77}));
    EXPECT_TRUE(std::ranges::equal(result.logits, last));
    EXPECT_EQ(take_sent("logits"), of_sequences("logits", vocab * sizeof(float)));
  });
}

INSTANTIATE_TEST_SUITE_P(
    Layouts, RanksDraws,
    ::testing::Combine(::testing::Values("tp=2", "dp=2", "pp=2", "tp=2,dp=2", "pp=2,dp=4"),
                       ::testing::Values(kCpu, kCpuDiscrete, kWithoutCollectives, kWithoutSample)));

}  // namespace
}  // namespace fathom
