// The embedded model over ranks that are threads: forward passes, drafts and decoding give the
// logits of the whole model. tests/e2e/ranks_test.py has the same with processes, through the API,
// which does not show drafts.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "backends/cpu/cpu_backend.h"
#include "comm/memory_transport_for_tests.h"
#include "comm/world.h"
#include "device/device.h"
#include "models/deepseek_v3/checkpoint_source.h"
#include "models/deepseek_v3/parallel_model.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;
using std::chrono::milliseconds;

const std::filesystem::path kTiny = std::filesystem::path(FATHOM_MODELS) / "tiny";
constexpr int64_t kBlockSize = 16;
constexpr float kTolerance = 2e-4f;
const std::vector<int64_t> kPrompts = {41, 9, 70};  // tokens; more than two microbatches together

models::RunLimits limits() {
  return {.max_step_tokens = 128,
          .max_logit_rows = 16,
          .max_context = 128,
          .max_step_sequences = 8,
          .num_kv_blocks = 16,
          .kv_block_size = kBlockSize};
}

int32_t token_at(size_t sequence, int64_t position) {
  return static_cast<int32_t>((static_cast<int64_t>(sequence) * 131 + position * 37 + 11) % 1200);
}

// A step over all sequences: rows [begin, end) of each, in the order of their data indices.
class Step {
 public:
  // Tokens stand `ahead` of their rows; of each sequence the last row's logits are wanted.
  Step(int64_t dp, const std::vector<int64_t>& begins, const std::vector<int64_t>& ends,
       int64_t ahead, bool generated)
      : data_rows_(static_cast<size_t>(dp)), tables_(kPrompts.size()) {
    std::vector<int32_t> blocks(static_cast<size_t>(dp));  // taken, of each data index
    for (size_t s = 0; s < kPrompts.size(); ++s) {
      for (int64_t i = 0; i * kBlockSize <= kPrompts[s]; ++i) {
        tables_[s].push_back(blocks[s % static_cast<size_t>(dp)]++);
      }
    }
    for (int64_t data = 0; data < dp; ++data) {
      for (size_t s = static_cast<size_t>(data); s < kPrompts.size();
           s += static_cast<size_t>(dp)) {
        add(s, begins[s], ends[s], ahead, generated);
        data_rows_[static_cast<size_t>(data)] += ends[s] - begins[s];
        order_.push_back(s);
      }
    }
    for (size_t row = 0; row < tokens_.size(); ++row) sources_.push_back(static_cast<int32_t>(row));
  }

  models::StepBatch batch() const {
    return {.tokens = tokens_,
            .positions = positions_,
            .slots = slots_,
            .given = given_,
            .generated = generated_,
            .logit_rows = logit_rows_,
            .data_rows = data_rows_};
  }
  // Of drafts that go on from every row of a call with the same rows.
  std::span<const int32_t> sources() const { return sources_; }

  // Logits of each sequence, by its number.
  std::vector<std::vector<float>> by_sequence(std::span<const float> logits) const {
    const size_t vocab = logits.size() / order_.size();
    std::vector<std::vector<float>> rows(order_.size());
    for (size_t i = 0; i < order_.size(); ++i) {
      const auto row = logits.subspan(i * vocab, vocab);
      rows[order_[i]].assign(row.begin(), row.end());
    }
    return rows;
  }

 private:
  void add(size_t s, int64_t begin, int64_t end, int64_t ahead, bool generated) {
    const fathom_sequence entry = {static_cast<int64_t>(tokens_.size()), end - begin, begin,
                                   tables_[s].data(), static_cast<int64_t>(tables_[s].size())};
    (generated ? generated_ : given_).push_back(entry);
    for (int64_t row = begin; row < end; ++row) {
      tokens_.push_back(token_at(s, row + ahead));
      positions_.push_back(static_cast<int32_t>(row));
      slots_.push_back(tables_[s][static_cast<size_t>(row / kBlockSize)] * kBlockSize +
                       row % kBlockSize);
    }
    logit_rows_.push_back(static_cast<int32_t>(tokens_.size()) - 1);
  }

  std::vector<int32_t> tokens_, positions_, logit_rows_, sources_;
  std::vector<int64_t> slots_, data_rows_;
  std::vector<std::vector<int32_t>> tables_;
  std::vector<fathom_sequence> given_, generated_;
  std::vector<size_t> order_;
};

using Logits = std::vector<std::vector<std::vector<float>>>;  // by call and sequence

// Reads the prompts, drafts behind them, and generates one token.
Result<Logits> run(models::CausalLm& model, int64_t dp) {
  Logits all;
  const std::vector<int64_t> zero(kPrompts.size());
  std::vector<int64_t> next = kPrompts;
  for (int64_t& end : next) ++end;
  const Step prompts(dp, zero, kPrompts, 0, false);
  const Step drafts(dp, zero, kPrompts, 1, false);
  const Step decode(dp, kPrompts, next, 0, true);
  FATHOM_ASSIGN(auto logits, model.forward(prompts.batch()));
  all.push_back(prompts.by_sequence(logits));
  FATHOM_ASSIGN(logits, model.draft(drafts.batch(), drafts.sources()));
  all.push_back(drafts.by_sequence(logits));
  FATHOM_ASSIGN(logits, model.forward(decode.batch()));
  all.push_back(decode.by_sequence(logits));
  return all;
}

class RanksTest : public ::testing::TestWithParam<const char*> {
 protected:
  RanksTest()
      : config_(dsv3::Config::load(kTiny / "config.json").value()),
        source_(dsv3::CheckpointSource::open(kTiny, config_).value()) {}

  static std::unique_ptr<device::Device> open_device() {
    const device::DeviceOptions options = {.index = 0, .threads = 1, .kernels = "reference"};
    return device::Device::open(*fathom_cpu_backend_entry(FATHOM_ABI_VERSION), options).value();
  }

  Logits whole() {
    const auto device = open_device();
    const auto model = dsv3::Model::load(source_, config_, *device, limits(), load_).value();
    return run(*model, 1).value();
  }

  // What one rank does; rank 0's logits.
  Result<Logits> take_part(comm::World& world, const dsv3::ShardPlan& plan) {
    const auto device = open_device();
    FATHOM_ASSIGN(auto own,
                  dsv3::Model::load_share(source_, plan, world.group(), *device, limits(), load_));
    if (world.group().rank() > 0) {
      FATHOM_TRY(dsv3::follow(*own, world.group()));
      return Logits();
    }
    dsv3::ParallelModel model(std::move(own), world.group());
    return run(model, plan.layout().dp);
  }

  std::string join(comm::Transport& transport, int rank, const dsv3::ShardPlan& plan,
                   Logits& logits) {
    const auto ranks = static_cast<int>(plan.layout().ranks());
    const comm::Launch launch = {
        .rank = rank, .size = ranks, .local_size = ranks, .job = {}, .rank_variable = {}};
    auto world = comm::World::join_threads(transport, launch, {"cpu", "1", "a", "b"},
                                           {.start_deadline = milliseconds(60000),
                                            .lost_after = milliseconds(60000),
                                            .operation_deadline = milliseconds(60000),
                                            .on_lost = [](const Error&) {}});
    if (!world) return world.error().message;
    auto got = take_part(**world, plan);
    if (!got) return got.error().message;
    if (rank == 0) logits = std::move(*got);
    const auto left = (*world)->leave();
    return left ? "" : left.error().message;
  }

  dsv3::Config config_;
  std::shared_ptr<const models::TensorSource> source_;
  const dsv3::LoadOptions load_ = {.format = models::WeightFormat::kBf16, .threads = 1};
};

TEST_P(RanksTest, LogitsAreThoseOfTheWholeModel) {
  const auto plan =
      dsv3::ShardPlan::make(config_, dsv3::Layout::parse(GetParam()).value(),
                            dsv3::planned_tensors(config_, *source_).value(), load_.format)
          .value();
  const Logits expected = whole();
  const auto ranks = static_cast<size_t>(plan.layout().ranks());
  comm::MemoryJob job(static_cast<int>(ranks));
  std::vector<std::string> errors(ranks);
  Logits got;
  {
    std::vector<std::jthread> threads;
    for (size_t rank = 0; rank < ranks; ++rank) {
      threads.emplace_back([&, rank] {
        const auto number = static_cast<int>(rank);
        errors[rank] = join(job.transport(number), number, plan, got);
      });
    }
  }
  ASSERT_EQ(errors, std::vector<std::string>(ranks));
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
}

// With dp=4 one data index is idle.
INSTANTIATE_TEST_SUITE_P(Layouts, RanksTest,
                         ::testing::Values("tp=2", "dp=2", "pp=2", "dp=4,redundant=8",
                                           "tp=2,dp=2,ep=2", "pp=2,dp=2"));

}  // namespace
}  // namespace fathom
