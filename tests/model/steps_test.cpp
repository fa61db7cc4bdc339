// Steps of the embedded model in their three parts: whatever chip draws, and however many steps are
// in flight, tokens are those of the rule's oracle, and nothing but them goes to the host.
#include <gtest/gtest.h>

#include <numeric>

#include "chips.h"
#include "generation.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

constexpr int64_t kSteps = 24;

class SteppedModel {
 public:
  SteppedModel(const std::string& chip, const std::string& kernels)
      : device_(open_chip(chip, {.index = 0, .threads = 2, .kernels = kernels})) {
    const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
    const auto config = dsv3::Config::load(directory / "config.json").value();
    auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
    model_ = dsv3::Model::load(checkpoint, config, *device_, generation_limits(), {}).value();
  }

  dsv3::Model& operator*() { return *model_; }
  dsv3::Model* operator->() { return model_.get(); }
  device::Device& device() const { return *device_; }
  void end() { model_.reset(); }

 private:
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<dsv3::Model> model_;
};

const std::vector<std::vector<int32_t>>& oracles_answers() {
  static const auto answers = [] {
    SteppedModel model(kCpu, "native");
    Generation generation(*model);
    EXPECT_TRUE(generation.run_by_oracle(kSteps).ok());
    return generation.answers();
  }();
  return answers;
}

struct ChipCase {
  const char* chip;
  const char* kernels;
  int64_t in_flight;
  bool draws;  // itself
};
void PrintTo(const ChipCase& c, std::ostream* out) {
  *out << c.chip << " " << c.kernels;
}

class Steps : public ::testing::TestWithParam<ChipCase> {
 protected:
  Steps() : model_(GetParam().chip, GetParam().kernels) {}
  SteppedModel model_;
};

TEST_P(Steps, DrawWhatTheOracleDraws) {
  EXPECT_EQ(model_->max_steps_in_flight(), GetParam().in_flight);
  Generation generation(*model_);
  const auto ran = generation.run(kSteps);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(generation.answers(), oracles_answers());
  EXPECT_EQ(model_->drawn_on_host(),
            GetParam().draws ? 0 : generation.size() * static_cast<size_t>(kSteps));
}

TEST_P(Steps, TwoInFlightChangeNoToken) {
  if (GetParam().in_flight < 2) return;
  Generation generation(*model_);
  for (int round = 0; round < 3; ++round) {
    Generation again(*model_);
    const auto ran = again.run_two_in_flight(kSteps);
    ASSERT_TRUE(ran.ok()) << ran.error().message;
    ASSERT_EQ(again.answers(), oracles_answers()) << round;
  }
}

TEST_P(Steps, ReadRowsOfLogitsThatAreAskedFor) {
  const auto vocab = static_cast<size_t>(model_->vocab_size());
  Generation generation(*model_);
  const auto all = model_->forward(generation.batch(0, false));
  ASSERT_TRUE(all.ok());
  const std::vector<float> expected(all->begin(), all->end());
  for (const std::vector<int32_t>& read :
       std::vector<std::vector<int32_t>>{{}, {0}, {8}, {2, 3, 4}, {0, 2, 3, 7}, {1, 8}}) {
    ASSERT_TRUE(model_->begin_step(generation.batch(0, false)).ok());
    ASSERT_TRUE(model_->begin_draws(generation.draws(read)).ok());
    const auto result = model_->finish_step();
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result->tokens.size(), generation.size());
    ASSERT_EQ(result->logits.size(), read.size() * vocab);
    for (size_t i = 0; i < read.size(); ++i) {
      const auto row = static_cast<size_t>(read[i]);
      EXPECT_TRUE(std::ranges::equal(result->logits.subspan(i * vocab, vocab),
                                     std::span(expected).subspan(row * vocab, vocab)));
    }
  }
}

TEST_P(Steps, MayDrawAndReadNothing) {
  Generation generation(*model_);
  ASSERT_TRUE(model_->begin_step(generation.batch(0, false)).ok());
  ASSERT_TRUE(model_->begin_draws({}).ok());
  const auto result = model_->finish_step();
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->tokens.empty());
  EXPECT_TRUE(result->logits.empty());
}

// Work that is left would find the model's memory gone.
TEST_P(Steps, AModelEndsBehindItsStepsInFlight) {
  {
    Generation generation(*model_);
    ASSERT_TRUE(model_->begin_step(generation.batch(0, false)).ok());
    model_.end();
  }
  const auto ended = model_.device().synchronize();
  EXPECT_TRUE(ended.ok()) << ended.error().message;
}

// Biases are as many as a request has.
TEST_P(Steps, DrawOnTheHostWhereListsAreTooLong) {
  auto params = various_parameters();
  params.resize(4);
  for (int32_t i = 0; i < 40'000; ++i) params[1].logit_bias.emplace_back(i % 97, 0.25f);
  Generation expected(*model_, params);
  ASSERT_TRUE(expected.run_by_oracle(3).ok());
  Generation generation(*model_, params);
  ASSERT_TRUE(generation.run(3).ok());
  EXPECT_EQ(generation.answers(), expected.answers());
  EXPECT_EQ(model_->drawn_on_host(), 3 * generation.size());
  if (GetParam().in_flight < 2) return;
  Generation two(*model_, params);
  ASSERT_TRUE(two.run_two_in_flight(3).ok());
  EXPECT_EQ(two.answers(), expected.answers());
}

TEST_P(Steps, AfterAFailureNothingIsInFlight) {
  Generation generation(*model_);
  auto bad = generation.batch(0, false);
  std::vector<int32_t> tokens(bad.tokens.begin(), bad.tokens.end());
  tokens[0] = static_cast<int32_t>(model_->vocab_size());
  bad.tokens = tokens;
  Status failed = model_->begin_step(bad);
  if (failed) failed = model_->begin_draws(generation.draws());
  if (failed) {
    const auto finished = model_->finish_step();
    if (!finished) failed = finished.error();
  }
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.error().code, ErrorCode::kInternal);
  const auto ran = generation.run(2);
  ASSERT_TRUE(ran.ok()) << ran.error().message;
  EXPECT_EQ(generation.answers()[0][0], oracles_answers()[0][0]);
  EXPECT_EQ(generation.answers()[0][1], oracles_answers()[0][1]);
}

INSTANTIATE_TEST_SUITE_P(
    Chips, Steps,
    ::testing::Values(ChipCase{kCpu, "native", 1, true}, ChipCase{kCpuDiscrete, "native", 2, true},
                      ChipCase{kCpuDiscrete, "native,without=graphs", 2, true},
                      ChipCase{kCpuDiscrete, "native,without=asynchronous", 1, true},
                      ChipCase{kCpuDiscrete, "native,without=take_tokens", 2, true},
                      ChipCase{kCpuDiscrete, "native,without=sample", 1, false}));

TEST(StepsOfAChip, CopyDrawnTokensAndRowsThatAreReadToTheHost) {
  SteppedModel model(kCpuDiscrete, "native");
  Generation generation(*model);
  const auto copied_by = [&](std::span<const int32_t> read) {
    const uint64_t before = model->copied_to_host();
    EXPECT_TRUE(model->begin_step(generation.batch(0, false)).ok());
    EXPECT_TRUE(model->begin_draws(generation.draws(read)).ok());
    EXPECT_TRUE(model->finish_step().ok());
    return model->copied_to_host() - before;
  };
  EXPECT_EQ(copied_by({}), generation.size() * sizeof(int32_t));
  const std::vector<int32_t> read = {1, 4};
  EXPECT_EQ(copied_by(read), generation.size() * sizeof(int32_t) +
                                 2 * static_cast<size_t>(model->vocab_size()) * sizeof(float));
}

}  // namespace
}  // namespace fathom
