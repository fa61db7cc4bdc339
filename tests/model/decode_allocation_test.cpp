// A decode step of the real model on the real kernels allocates nothing.
#include <gtest/gtest.h>

#include <tuple>
#include <vector>

#include "base/testing/allocation_counter.h"
#include "chips.h"
#include "generation.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

// On a chip, which goes without something.
class DecodeStep : public ::testing::TestWithParam<std::tuple<const char*, const char*>> {
 protected:
  static std::unique_ptr<device::Device> open() {
    const auto& [chip, kernels] = GetParam();
    return open_chip(chip, {.index = 0, .threads = 2, .kernels = kernels});
  }
};

TEST_P(DecodeStep, AllocatesNothing) {
  const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
  const auto config = dsv3::Config::load(directory / "config.json").value();
  const auto device = open();
  constexpr int64_t kSequences = 4;
  const models::RunLimits limits = {.max_step_tokens = 16,
                                    .max_logit_rows = kSequences,
                                    .max_context = 64,
                                    .max_step_sequences = kSequences,
                                    .num_kv_blocks = 2 * kSequences,
                                    .kv_block_size = 32};
  auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
  auto model = dsv3::Model::load(checkpoint, config, *device, limits, {}).value();

  std::vector<int32_t> tokens(kSequences), positions(kSequences), rows(kSequences),
      blocks(2 * kSequences);
  std::vector<int64_t> slots(kSequences);
  std::vector<models::SequenceRows> sequences(kSequences);
  for (int32_t i = 0; i < 2 * kSequences; ++i) blocks[static_cast<size_t>(i)] = i;
  const auto step = [&](int64_t position) {
    for (int64_t i = 0; i < kSequences; ++i) {
      const auto at = static_cast<size_t>(i);
      tokens[at] = static_cast<int32_t>(100 + i + position);
      positions[at] = static_cast<int32_t>(position);
      slots[at] = i * 64 + position;
      sequences[at] = {i, 1, position, {&blocks[2 * at], 2}};
      rows[at] = static_cast<int32_t>(i);
    }
    models::StepBatch batch;
    batch.tokens = tokens;
    batch.positions = positions;
    batch.slots = slots;
    batch.generated = sequences;
    batch.logit_rows = rows;
    return batch;
  };
  ASSERT_TRUE(model->forward(step(0)).ok());
  AllocationCounter allocations;
  bool good = true;
  for (int64_t position = 1; position < 40; ++position) {
    good = good && model->forward(step(position)).ok() && model->draft(step(position), rows).ok();
  }
  const int64_t counted = allocations.stop();
  EXPECT_TRUE(good);
  EXPECT_EQ(counted, 0);
}

TEST_P(DecodeStep, InItsThreePartsAllocatesNothing) {
  const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
  const auto config = dsv3::Config::load(directory / "config.json").value();
  const auto device = open();
  auto checkpoint = dsv3::CheckpointSource::open(directory, config).value();
  auto model = dsv3::Model::load(checkpoint, config, *device, generation_limits(), {}).value();
  Generation first(*model);
  ASSERT_TRUE(first.run(2).ok());
  Generation one(*model);
  Generation two(*model);
  AllocationCounter allocations;
  const bool good =
      one.run(12).ok() && (model->max_steps_in_flight() == 1 || two.run_two_in_flight(12).ok());
  const int64_t counted = allocations.stop();
  EXPECT_TRUE(good);
  EXPECT_EQ(counted, 0);
}

INSTANTIATE_TEST_SUITE_P(Cpu, DecodeStep, ::testing::Values(std::tuple(kCpu, "")));
INSTANTIATE_TEST_SUITE_P(
    Discrete, DecodeStep,
    ::testing::Combine(::testing::Values(kCpuDiscrete),
                       ::testing::Values("", "without=graphs", "without=sample",
                                         "without=take_tokens", "without=asynchronous")));

}  // namespace
}  // namespace fathom
