// Decode steps that were recorded once and run again give the bits of steps that are queued
// operator by operator: whatever comes and goes between them, rows, block tables and contexts, also
// across buckets, and wherever experts move. What was cached and counted is the same, too.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>
#include <random>

#include "chips.h"
#include "meeting_group.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using models::WeightFormat;

models::RunLimits graph_limits(WeightFormat format) {
  return {.max_step_tokens = 256,
          .max_logit_rows = 16,
          .max_context = 1100,
          .max_step_sequences = 7,
          .num_kv_blocks = 96,
          .kv_block_size = kBlockSize,
          .kv_dtype = format == WeightFormat::kInt8 ? FATHOM_BF16 : FATHOM_F32};
}

// All that a run leaves.
struct Left {
  std::vector<std::vector<float>> logits;  // by step
  std::vector<std::byte> cache;
  std::vector<std::vector<double>> loads;  // of experts, by layer

  bool operator==(const Left&) const = default;
};

class Served {
 public:
  Served(const std::string& chip, const std::string& kernels, WeightFormat format)
      : limits_(graph_limits(format)),
        device_(open_chip(chip, {.index = 0, .threads = 2, .kernels = kernels})) {
    const auto directory = std::filesystem::path(FATHOM_MODELS) / "tiny";
    const auto config = dsv3::Config::load(directory / "config.json").value();
    auto source = dsv3::CheckpointSource::open(directory, config).value();
    const auto plan = dsv3::ShardPlan::make(config, dsv3::ParallelLayout::parse("tp=1").value(),
                                            dsv3::tensor_manifest(config, *source).value(), format)
                          .value();
    model_ = dsv3::Model::load_shard(source, plan, world_, *device_, limits_,
                                     {.format = format, .threads = 1})
                 .value();
    free_.resize(static_cast<size_t>(limits_.num_kv_blocks));
    std::iota(free_.begin(), free_.end(), 0);
    std::shuffle(free_.begin(), free_.end(), std::mt19937(3));
  }

  // Reads the first `length` tokens of a new sequence.
  void add(size_t number, int64_t length) {
    Sequence& sequence = sequences_[number];
    while (sequence.length < length) {
      const int64_t count = std::min(limits_.max_step_tokens, length - sequence.length);
      Step step;
      append(step, number, count);
      step.logit_rows = {static_cast<int32_t>(count) - 1};
      step.given.swap(step.generated);
      run(step);
    }
  }
  void end(size_t number) {
    const auto& table = sequences_[number].table;
    free_.insert(free_.end(), table.begin(), table.end());
    sequences_.erase(number);
  }
  // Each one's next token.
  void decode(const std::vector<size_t>& numbers) {
    Step step;
    for (const size_t number : numbers) {
      step.logit_rows.push_back(static_cast<int32_t>(step.tokens.size()));
      append(step, number, 1);
    }
    run(step);
  }
  void move_expert(int64_t layer, size_t place, int64_t expert) {
    ASSERT_TRUE(model_->balancer()->place_expert(layer, place, expert).ok());
  }

  int64_t launched() const { return device_->launched_graphs(); }

  Left left() {
    const auto balance = model_->balance();
    EXPECT_TRUE(balance.ok());
    for (const auto& layer : balance->loads) left_.loads.push_back(layer.tokens);
    std::vector<std::byte> block(kv_block_bytes(model_->kv_block_format()));
    for (int32_t i = 0; i < limits_.num_kv_blocks; ++i) {
      EXPECT_TRUE(model_->read_kv_blocks(0, {&i, 1}, block).ok());
      left_.cache.insert(left_.cache.end(), block.begin(), block.end());
    }
    return left_;
  }

 private:
  struct Sequence {
    int64_t length = 0;
    std::vector<int32_t> table;
  };
  struct Step {
    std::vector<int32_t> tokens, positions, logit_rows;
    std::vector<int64_t> slots;
    std::vector<models::SequenceRows> given, generated;
  };

  void append(Step& step, size_t number, int64_t count) {
    Sequence& sequence = sequences_[number];
    const int64_t end = sequence.length + count;
    while (static_cast<int64_t>(sequence.table.size()) * kBlockSize < end) {
      sequence.table.push_back(free_.front());
      free_.erase(free_.begin());
    }
    step.generated.push_back(
        {static_cast<int64_t>(step.tokens.size()), count, sequence.length, sequence.table});
    for (int64_t position = sequence.length; position < end; ++position) {
      const int64_t block = sequence.table[static_cast<size_t>(position / kBlockSize)];
      step.tokens.push_back(token_at(number, position));
      step.positions.push_back(static_cast<int32_t>(position));
      step.slots.push_back(block * kBlockSize + position % kBlockSize);
    }
    sequence.length = end;
  }

  void run(const Step& step) {
    const auto logits = model_->forward({.tokens = step.tokens,
                                         .positions = step.positions,
                                         .slots = step.slots,
                                         .given = step.given,
                                         .generated = step.generated,
                                         .logit_rows = step.logit_rows,
                                         .data_rows = {}});
    ASSERT_TRUE(logits.ok()) << logits.error().message;
    left_.logits.emplace_back(logits->begin(), logits->end());
  }

  models::RunLimits limits_;
  MeetingGroup world_{std::make_shared<Meeting>(1), 0};
  std::unique_ptr<device::Device> device_;
  std::unique_ptr<dsv3::Model> model_;
  std::map<size_t, Sequence> sequences_;
  std::vector<int32_t> free_;
  Left left_;
};

// Sequences come, go and change places; 3 ends and its blocks are given out again; 0 comes to where
// positions need the next bucket. Returns how many steps decoded.
int64_t serve(Served& run, bool moves_experts) {
  run.add(0, 1015);
  run.add(1, 15);
  run.add(2, 40);
  const std::vector<std::vector<size_t>> first = {{0},       {0, 1},    {1, 0}, {2, 0, 1},
                                                  {1, 2, 0}, {2, 1, 0}, {2}};
  for (const auto& numbers : first) run.decode(numbers);
  if (moves_experts) run.move_expert(1, 3, 5);
  for (size_t number = 3; number < 7; ++number) run.add(number, static_cast<int64_t>(number * 3));
  const std::vector<std::vector<size_t>> second = {
      {0, 1, 2, 3, 4, 5, 6}, {6, 5, 3, 0, 1}, {0}, {4, 0, 3, 6}, {0, 3, 4, 5, 6, 1}};
  for (const auto& numbers : second) run.decode(numbers);
  run.end(3);
  if (moves_experts) {
    run.move_expert(1, 3, 3);
    run.move_expert(2, 0, 7);
  }
  run.add(7, 33);
  const std::vector<std::vector<size_t>> third = {{7, 0}, {0, 7, 2}, {2, 7, 0, 4, 5}, {7}, {0}};
  for (const auto& numbers : third) run.decode(numbers);
  return static_cast<int64_t>(first.size() + second.size() + third.size());
}

class GraphsTest : public ::testing::TestWithParam<std::tuple<const char*, WeightFormat, bool>> {
 protected:
  static std::string kernels() { return std::get<0>(GetParam()); }
};

TEST_P(GraphsTest, ReplaysHaveTheBitsOfEagerSteps) {
  const auto& [set, format, moves_experts] = GetParam();
  Served replayed(kCpuDiscrete, kernels(), format);
  Served eager(kCpuDiscrete, kernels() + ",without=graphs", format);
  const int64_t decoded = serve(replayed, moves_experts);
  serve(eager, moves_experts);
  EXPECT_EQ(replayed.launched(), decoded);
  EXPECT_EQ(eager.launched(), 0);
  const Left got = replayed.left();
  const Left expected = eager.left();
  ASSERT_EQ(got.logits.size(), expected.logits.size());
  for (size_t step = 0; step < got.logits.size(); ++step) {
    EXPECT_TRUE(got.logits[step] == expected.logits[step]) << "step " << step;
  }
  EXPECT_TRUE(got.cache == expected.cache);
  EXPECT_EQ(got.loads, expected.loads);
  Served cpu(kCpu, kernels(), format);
  serve(cpu, moves_experts);
  const Left on_cpu = cpu.left();
  EXPECT_TRUE(got.logits == on_cpu.logits);
  EXPECT_EQ(got.loads, on_cpu.loads);
}

std::string name_of(const testing::TestParamInfo<GraphsTest::ParamType>& info) {
  return letters_of(to_string(std::get<1>(info.param))) +
         (std::get<2>(info.param) ? "ExpertsMove" : "ExpertsStay");
}

INSTANTIATE_TEST_SUITE_P(Native, GraphsTest,
                         ::testing::Combine(::testing::Values("native"),
                                            ::testing::Values(WeightFormat::kBf16,
                                                              WeightFormat::kInt8),
                                            ::testing::Bool()),
                         name_of);

// Otherwise the moves above would show nothing.
TEST(Experts, ThatMoveChangeWhatFollows) {
  Served moved(kCpuDiscrete, "native", WeightFormat::kBf16);
  Served still(kCpuDiscrete, "native", WeightFormat::kBf16);
  serve(moved, true);
  serve(still, false);
  const auto with = moved.left().logits;
  const auto without = still.left().logits;
  EXPECT_TRUE(with.front() == without.front());
  EXPECT_FALSE(with.back() == without.back());
}

}  // namespace
}  // namespace fathom
