// The embedded model over ranks that are threads: forward passes, drafts and decoding give the
// logits of the whole model. tests/e2e/ranks_test.py has the same with processes, through the API,
// which does not show drafts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <functional>
#include <numeric>
#include <thread>

#include "chips.h"
#include "comm/ordered_sum.h"
#include "comm/testing/memory_transport.h"
#include "comm/world.h"
#include "models/deepseek_v3/parallel_model.h"
#include "models/deepseek_v3/ranks/chip_group.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"
#include "prompt_steps.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using std::chrono::milliseconds;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";
constexpr float kTolerance = 2e-4f;

using Steps = std::function<Result<Outcome>(models::CausalLm&, int64_t)>;

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
  Result<Outcome> take_part(comm::World& world, const dsv3::ShardPlan& plan, device::Device* device,
                            const Steps& steps) {
    FATHOM_ASSIGN(auto own, dsv3::Model::load_shard(source_, plan, world.group(), *device,
                                                    prompt_limits(), load_));
    if (world.group().rank() > 0) {
      FATHOM_TRY(dsv3::follow(*own, world.group()));
      return Outcome();
    }
    // Experts are placed anew between the prompts and what is generated, where some are redundant.
    dsv3::ParallelModel model(std::move(own), world.group(), 1);
    return steps(model, plan.layout().dp);
  }

  std::string join(comm::Transport& transport, int rank, const dsv3::ShardPlan& plan,
                   const std::string& chip, const Steps& steps, Outcome& outcome,
                   uint64_t& copied) {
    const auto ranks = static_cast<int>(plan.layout().ranks());
    const comm::Launch launch = {
        .rank = rank, .size = ranks, .local_size = ranks, .job = {}, .rank_variable = {}};
    auto world = comm::World::join_threads(transport, launch, {chip, "1", "a", "b"},
                                           {.start_deadline = milliseconds(60000),
                                            .lost_after = milliseconds(60000),
                                            .operation_deadline = milliseconds(60000),
                                            .on_lost = [](const Error&) {}});
    if (!world) return world.error().message;
    const auto device = open_device(chip);
    auto got = take_part(**world, plan, device.get(), steps);
    copied = device->copied_to_host();
    if (!got) return got.error().message;
    if (rank == 0) outcome = std::move(*got);
    const auto left = (*world)->leave();
    return left ? "" : left.error().message;
  }

  // Of all ranks of the layout together.
  Outcome run_ranks(const std::string& chip, const Steps& steps = run_prompts) {
    const auto plan =
        dsv3::ShardPlan::make(config_, dsv3::ParallelLayout::parse(GetParam()).value(),
                              dsv3::tensor_manifest(config_, *source_).value(), load_.format)
            .value();
    const auto ranks = static_cast<size_t>(plan.layout().ranks());
    comm::MemoryJob job(static_cast<int>(ranks));
    std::vector<std::string> errors(ranks);
    copied_.assign(ranks, 0);
    Outcome got;
    {
      std::vector<std::jthread> threads;
      for (size_t rank = 0; rank < ranks; ++rank) {
        threads.emplace_back([&, rank] {
          const auto number = static_cast<int>(rank);
          errors[rank] = join(job.transport(number), number, plan, chip, steps, got, copied_[rank]);
        });
      }
    }
    EXPECT_EQ(errors, std::vector<std::string>(ranks));
    return got;
  }

  std::vector<uint64_t> copied_;  // bytes to each rank's host
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
  EXPECT_TRUE(run_ranks(kWithoutCollectives) == outcome);
}

// With dp=4 one data index is idle, with dp=16 most are, and hosts count the rows where chips do
// not.
INSTANTIATE_TEST_SUITE_P(Layouts, RanksTest,
                         ::testing::Values("tp=2", "tp=2,ep=1", "dp=2", "pp=2", "dp=4,redundant=8",
                                           "dp=2,shared=2", "tp=2,dp=2", "tp=2,dp=2,ep=2",
                                           "pp=2,dp=2", "dp=16"));

// Where ranks pass rows to each other on their chips' streams, and no host counts them.
class StreamTest : public RanksTest {};

TEST_P(StreamTest, NoLayerCopiesAnythingToTheHost) {
  const auto read_prompts = [](models::CausalLm& model, int64_t dp) -> Result<Outcome> {
    const PromptStep prompts(dp, std::vector<int64_t>(kPrompts.size()), kPrompts, 0, false);
    FATHOM_ASSIGN(const auto logits, model.forward(prompts.batch()));
    return Outcome{.logits = {prompts.by_sequence(logits)}, .blocks = {}};
  };
  run_ranks(kCpuDiscrete, read_prompts);
  const auto logits = kPrompts.size() * static_cast<size_t>(config_.vocab_size);
  EXPECT_EQ(std::accumulate(copied_.begin(), copied_.end(), uint64_t{0}), logits * sizeof(float));
}

INSTANTIATE_TEST_SUITE_P(Layouts, StreamTest,
                         ::testing::Values("tp=2", "dp=2", "pp=2", "tp=2,dp=2"));

// What ranks pass to each other in the format of most chips' activations, through their hosts: sums
// of BF16 numbers are made in F32 in the order of ranks and rounded once.
class Bf16OverHosts : public RanksTest {
 protected:
  static constexpr size_t kRanks = 3;
  using Values = std::vector<uint16_t>;  // BF16

  static uint16_t bf16(float value) {
    return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16);
  }
  // Of a rank; those of rank 1 are so small that sums are rounded.
  static Values values_of(size_t rank, size_t count) {
    Values values;
    for (size_t i = 0; i < count; ++i) {
      values.push_back(bf16(static_cast<float>((i * 37 + rank * 11) % 64 + 1) *
                            (rank == 1 ? 0.0078125f : 1.0f)));
    }
    return values;
  }
  static Values sum_of(size_t count) {
    std::vector<Values> all;
    std::vector<const void*> terms;
    for (size_t rank = 0; rank < kRanks; ++rank) all.push_back(values_of(rank, count));
    for (const Values& values : all) terms.push_back(values.data());
    Values sum(count);
    comm::ordered_sum(FATHOM_BF16, terms, sum.data(), static_cast<int64_t>(count));
    return sum;
  }

  std::string run_rank(comm::Transport& transport, size_t rank) {
    const comm::Launch launch = {.rank = static_cast<int>(rank),
                                 .size = kRanks,
                                 .local_size = kRanks,
                                 .job = {},
                                 .rank_variable = {}};
    auto world = comm::World::join_threads(transport, launch, {GetParam(), "1", "a", "b"},
                                           {.start_deadline = milliseconds(60000),
                                            .lost_after = milliseconds(60000),
                                            .operation_deadline = milliseconds(60000),
                                            .on_lost = [](const Error&) {}});
    if (!world) return world.error().message;
    const auto device = open_device(GetParam());
    const std::string wrong = check(*device, (*world)->group(), rank);
    const auto left = (*world)->leave();
    return left ? wrong : left.error().message;
  }

  static std::string check(device::Device& device, comm::Group& world, size_t rank) {
    constexpr size_t kCount = 7;
    const std::vector<int64_t> counts = {3, 0, 4};
    const std::vector<size_t> begins = {0, 3, 3};
    const auto bytes = [](size_t count) { return count * sizeof(uint16_t); };
    const auto staging = dsv3::RankStaging::make(device, bytes(kCount), true).value();
    const auto chips = dsv3::through_the_host(world, device, staging);
    const auto memory = device.alloc(bytes(kCount)).value();
    const auto put = [&](const Values& values) {
      return device.copy_to_device(memory.data(), values.data(), bytes(values.size())).ok() &&
             device.synchronize().ok();
    };
    const auto get = [&](size_t begin, size_t count) {
      Values values(count);
      const auto* from = static_cast<const std::byte*>(memory.data()) + bytes(begin);
      EXPECT_TRUE(device.copy_to_host(values.data(), from, bytes(count)).ok());
      EXPECT_TRUE(device.synchronize().ok());
      return values;
    };
    const Values sum = sum_of(kCount);
    if (!put(values_of(rank, kCount)) ||
        !chips->all_reduce({1, "sum", {}}, FATHOM_BF16, memory.data(), kCount).ok() ||
        get(0, kCount) != sum) {
      return "other sums on all ranks";
    }
    const auto own = static_cast<size_t>(counts[rank]);
    auto* part = static_cast<std::byte*>(memory.data()) + bytes(begins[rank]);
    if (!put(values_of(rank, kCount)) ||
        !chips->reduce_scatter({2, "scatter", {}}, FATHOM_BF16, memory.data(), part, counts).ok() ||
        !std::ranges::equal(get(begins[rank], own), std::span(sum).subspan(begins[rank], own))) {
      return "other sums on each rank";
    }
    const std::vector<size_t> sizes = {bytes(3), 0, bytes(4)};
    if (!chips->all_gather({3, "gather", {}}, part, memory.data(), sizes).ok() ||
        get(0, kCount) != sum) {
      return "other parts gathered";
    }
    return "";
  }
};

TEST_P(Bf16OverHosts, SumsAreRoundedOnce) {
  comm::MemoryJob job(kRanks);
  std::vector<std::string> wrong(kRanks);
  {
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < kRanks; ++rank) {
      threads.emplace_back(
          [&, rank] { wrong[rank] = run_rank(job.transport(static_cast<int>(rank)), rank); });
    }
  }
  EXPECT_EQ(wrong, std::vector<std::string>(kRanks));
}

INSTANTIATE_TEST_SUITE_P(Chips, Bf16OverHosts, ::testing::Values(kCpu, kWithoutCollectives));

// A rank of two whose chip the other's waits for, in the middle of a step.
class LostRankTest : public RanksTest {
 protected:
  Result<std::unique_ptr<comm::World>> join_two(comm::MemoryJob& job, int rank) {
    const comm::Launch launch = {
        .rank = rank, .size = 2, .local_size = 2, .job = {}, .rank_variable = {}};
    return comm::World::join_threads(job.transport(rank), launch, {kCpuDiscrete, "1", "a", "b"},
                                     {.start_deadline = milliseconds(60000),
                                      .lost_after = milliseconds(2000),
                                      .operation_deadline = milliseconds(60000),
                                      .on_lost = [this](const Error&) { found_ = true; }});
  }
  std::unique_ptr<dsv3::Model> load_half(comm::World& world, device::Device& device) {
    const auto plan =
        dsv3::ShardPlan::make(config_, dsv3::ParallelLayout::parse("tp=2").value(),
                              dsv3::tensor_manifest(config_, *source_).value(), load_.format)
            .value();
    return dsv3::Model::load_shard(source_, plan, world.group(), device, prompt_limits(), load_)
        .value();
  }

  std::atomic<bool> found_ = false;
};

TEST_P(LostRankTest, EndsTheStepOfTheOthersAndIsNamed) {
  comm::MemoryJob job(2);
  const std::jthread lost([&] {
    const auto world = join_two(job, 1).value();
    const auto device = open_device(kCpuDiscrete);
    auto own = load_half(*world, *device);
    job.cut(1, comm::Channel::kHealth);
    if (std::string(GetParam()) == "ended") own.reset();
    while (!found_) std::this_thread::sleep_for(milliseconds(1));
  });
  const auto world = join_two(job, 0).value();
  const auto device = open_device(kCpuDiscrete);
  dsv3::ParallelModel model(load_half(*world, *device), world->group(), 0);
  const PromptStep prompts(1, std::vector<int64_t>(kPrompts.size()), kPrompts, 0, false);
  const auto logits = model.forward(prompts.batch());
  ASSERT_FALSE(logits.ok());
  EXPECT_EQ(logits.error().code, ErrorCode::kUnavailable);
  EXPECT_NE(logits.error().message.find("a rank of it is lost"), std::string::npos)
      << logits.error().message;
  EXPECT_TRUE(device->synchronize().ok()) << "nothing waits any more";
}

INSTANTIATE_TEST_SUITE_P(Ranks, LostRankTest, ::testing::Values("ended", "stalled"));

}  // namespace
}  // namespace fathom
