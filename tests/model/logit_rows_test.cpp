// Which rows' logits are wanted changes no bit of them, of what is drafted behind them, nor of what
// is cached: rows without are left out of the last block.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "chips.h"
#include "models/deepseek_v3/model.h"
#include "models/deepseek_v3/weights/checkpoint_source.h"

namespace fathom {
namespace {

namespace dsv3 = models::deepseek_v3;

constexpr int32_t kBlock = 64;
constexpr int32_t kPrompt = 40;

// Whether the model drafts, and the chip.
class LogitRows : public testing::TestWithParam<std::tuple<bool, const char*>> {
 protected:
  LogitRows() {
    auto config = dsv3::Config::load(directory_ / "config.json").value();
    if (!std::get<0>(GetParam())) config.num_nextn_predict_layers = 0;
    const models::RunLimits limits = {.max_step_tokens = 2 * kPrompt,
                                      .max_logit_rows = 2 * kPrompt,
                                      .max_context = kBlock,
                                      .max_step_sequences = 4,
                                      .num_kv_blocks = 2,
                                      .kv_block_size = kBlock};
    auto checkpoint = dsv3::CheckpointSource::open(directory_, config).value();
    model_ = dsv3::Model::load(checkpoint, config, *device_, limits, {}).value();
  }

  // `count` tokens of each of two sequences, the first generated, behind `context` others.
  models::StepBatch batch(int32_t context, int32_t count, std::vector<int32_t> logit_rows) {
    tokens_.clear();
    positions_.clear();
    slots_.clear();
    sequences_.clear();
    for (int32_t sequence = 0; sequence < 2; ++sequence) {
      sequences_.push_back({sequence * count, count, context, {&blocks_[sequence], 1}});
      for (int32_t i = context; i < context + count; ++i) {
        tokens_.push_back(100 + 7 * i + sequence);
        positions_.push_back(i);
        slots_.push_back(sequence * kBlock + i);
      }
    }
    logit_rows_ = std::move(logit_rows);
    const auto all = std::span<const models::SequenceRows>(sequences_);
    return {.tokens = tokens_,
            .positions = positions_,
            .slots = slots_,
            .given = all.last(1),
            .generated = all.first(1),
            .logit_rows = logit_rows_,
            .data_rows = {}};
  }

  using Rows = std::vector<std::vector<float>>;
  Rows rows_of(const Result<std::span<const float>>& logits) const {
    Rows rows;
    const auto vocab = static_cast<size_t>(model_->vocab_size());
    for (size_t at = 0; at < logits.value().size(); at += vocab) {
      const auto row = logits.value().subspan(at, vocab);
      rows.emplace_back(row.begin(), row.end());
    }
    return rows;
  }
  Rows forward(int32_t context, int32_t count, std::vector<int32_t> logit_rows) {
    return rows_of(model_->forward(batch(context, count, std::move(logit_rows))));
  }
  Rows draft(int32_t context, int32_t count, std::vector<int32_t> logit_rows,
             std::vector<int32_t> sources) {
    return rows_of(model_->draft(batch(context, count, std::move(logit_rows)), sources));
  }

  static std::vector<int32_t> all(int32_t count) {
    std::vector<int32_t> rows(static_cast<size_t>(count));
    std::iota(rows.begin(), rows.end(), 0);
    return rows;
  }

  const std::filesystem::path directory_ = std::filesystem::path(FATHOM_MODELS) / "tiny";
  const int32_t blocks_[2] = {0, 1};
  std::unique_ptr<device::Device> device_ = open_chip(std::get<1>(GetParam()));
  std::unique_ptr<dsv3::Model> model_;
  std::vector<int32_t> tokens_, positions_, logit_rows_;
  std::vector<int64_t> slots_;
  std::vector<models::SequenceRows> sequences_;
};

TEST_P(LogitRows, LogitsAreThoseOfAStepThatKeepsAll) {
  const Rows whole = forward(0, kPrompt, all(2 * kPrompt));
  const Rows behind = forward(kPrompt, 2, all(4));
  EXPECT_EQ(forward(0, kPrompt, {11, 12, 39, 41, 79}),
            (Rows{whole[11], whole[12], whole[39], whole[41], whole[79]}));
  EXPECT_EQ(forward(kPrompt, 2, all(4)), behind);
  EXPECT_EQ(forward(0, kPrompt, {}), Rows{});
  EXPECT_EQ(forward(kPrompt, 2, {1, 3}), (Rows{behind[1], behind[3]}));
}

TEST_P(LogitRows, DraftsAreThoseOfAStepThatKeepsAll) {
  if (!model_->can_draft()) return;
  const std::vector<int32_t> rows = all(2 * kPrompt);
  forward(0, kPrompt, {39});
  const Rows whole = draft(0, kPrompt, rows, rows);
  const Rows next = draft(kPrompt, 1, {0, 1}, {39, 79});
  forward(0, kPrompt, {39});
  EXPECT_EQ(draft(0, kPrompt, {39, 79}, rows), (Rows{whole[39], whole[79]}));
  EXPECT_EQ(draft(kPrompt, 1, {0, 1}, {39, 79}), next);
  forward(0, kPrompt, {39});
  EXPECT_EQ(draft(0, kPrompt, {}, rows), Rows{});
}

std::string name_of(const testing::TestParamInfo<LogitRows::ParamType>& info) {
  const auto& [drafts, chip] = info.param;
  return std::string(drafts ? "Drafting" : "Plain") + (chip == std::string(kCpu) ? "" : "Discrete");
}

INSTANTIATE_TEST_SUITE_P(Models, LogitRows,
                         testing::Combine(testing::Bool(), testing::Values(kCpu, kCpuDiscrete)),
                         name_of);

}  // namespace
}  // namespace fathom
