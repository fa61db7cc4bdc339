#include "models/deepseek_v3/step/step_message.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kIndices = 3;

RunLimits step_limits() {
  return {.max_step_tokens = 64,
          .max_logit_rows = 16,
          .max_context = 256,
          .max_step_sequences = 8,
          .num_kv_blocks = 32,
          .kv_block_size = 4,
          .data_indices = kIndices};
}

// A step of two sequences on data index 0, none on 1, one on 2, whose first two rows are given.
struct Example {
  std::vector<int32_t> tokens = {10, 11, 12, 20, 30, 31, 32};
  std::vector<int32_t> positions = {4, 5, 6, 9, 0, 1, 2};
  std::vector<int64_t> slots = {100, 101, 102, 7, 40, 41, 42};
  std::vector<int32_t> first_table = {25, 26};
  std::vector<int32_t> second_table = {1, 2, 3};
  std::vector<int32_t> third_table = {10};
  std::vector<SequenceRows> given = {{0, 3, 4, first_table}, {4, 2, 0, third_table}};
  std::vector<SequenceRows> generated = {{3, 1, 9, second_table}, {6, 1, 2, third_table}};
  std::vector<int32_t> logit_rows = {2, 3, 6};
  std::vector<int64_t> data_rows = {4, 0, 3};

  StepBatch batch() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = slots,
            .given = given,
            .generated = generated,
            .logit_rows = logit_rows,
            .data_rows = data_rows};
  }
};

template <typename T>
std::vector<T> list(std::span<const T> values) {
  return {values.begin(), values.end()};
}

void expect_equal(std::span<const SequenceRows> got, std::span<const SequenceRows> expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].query_begin, expected[i].query_begin);
    EXPECT_EQ(got[i].query_count, expected[i].query_count);
    EXPECT_EQ(got[i].context, expected[i].context);
    EXPECT_EQ(list(got[i].block_table), list(expected[i].block_table));
  }
}

StepMessageReader arrive(std::span<const std::byte> message, int64_t data) {
  StepMessageReader reader(step_limits(), data);
  std::ranges::copy(message, reader.memory().begin());
  return reader;
}

TEST(StepPlan, PartsCountFromTheirFirstRow) {
  const Example example;
  StepParts parts(step_limits());
  parts.split(example.batch(), {});
  EXPECT_EQ(list(parts[0].batch.tokens), (std::vector<int32_t>{10, 11, 12, 20}));
  EXPECT_EQ(list(parts[0].batch.logit_rows), (std::vector<int32_t>{2, 3}));
  EXPECT_EQ(parts[0].batch.generated[0].query_begin, 3);
  EXPECT_TRUE(parts[1].batch.tokens.empty());
  EXPECT_TRUE(parts[1].batch.given.empty());
  EXPECT_EQ(list(parts[2].batch.slots), (std::vector<int64_t>{40, 41, 42}));
  EXPECT_EQ(list(parts[2].batch.logit_rows), (std::vector<int32_t>{2}));
  EXPECT_EQ(parts[2].batch.given[0].query_begin, 0);
  EXPECT_EQ(parts[2].batch.generated[0].query_begin, 2);
}

TEST(StepPlan, EveryRankReadsItsOwnPart) {
  const Example example;
  StepParts parts(step_limits());
  parts.split(example.batch(), {});
  StepMessageWriter writer(step_limits());
  const auto message = writer.write(StepKind::kForward, 2, parts);
  EXPECT_EQ(message.size(), kMessageStart);
  for (int64_t data = 0; data < kIndices; ++data) {
    StepMessageReader reader = arrive(message, data);
    EXPECT_EQ(reader.size().value(), message.size());
    ASSERT_EQ(reader.read().value(), StepKind::kForward);
    EXPECT_EQ(reader.microbatches(), 2);
    const StepBatch& got = reader.part().batch;
    const StepBatch sent = parts[static_cast<size_t>(data)].batch;
    EXPECT_EQ(list(got.tokens), list(sent.tokens));
    EXPECT_EQ(list(got.positions), list(sent.positions));
    EXPECT_EQ(list(got.slots), list(sent.slots));
    EXPECT_EQ(list(got.logit_rows), list(sent.logit_rows));
    expect_equal(got.given, sent.given);
    expect_equal(got.generated, sent.generated);
  }
}

// Drafts go on from rows of the call before, which may have been on other places.
TEST(StepPlan, SourcesCountFromTheirPartOfTheCallBefore) {
  const Example example;
  StepParts parts(step_limits());
  parts.split(example.batch(), {});
  Example drafts;
  drafts.tokens = {1, 2};
  drafts.positions = {6, 2};
  drafts.slots = {102, 42};
  drafts.given = {};
  drafts.generated = {{0, 1, 6, drafts.first_table}, {1, 1, 2, drafts.third_table}};
  drafts.logit_rows = {0, 1};
  drafts.data_rows = {1, 0, 1};
  const std::vector<int32_t> sources = {2, 6};
  parts.split(drafts.batch(), sources);
  StepMessageWriter writer(step_limits());
  const auto message = writer.write(StepKind::kDraft, 1, parts);
  for (const auto& [data, source] : {std::pair{0, 2}, std::pair{2, 2}}) {
    StepMessageReader reader = arrive(message, data);
    ASSERT_EQ(reader.read().value(), StepKind::kDraft);
    EXPECT_EQ(list(reader.part().sources), (std::vector<int32_t>{source}));
  }
}

TEST(StepPlan, TheEndHasNoParts) {
  StepParts parts(step_limits());
  StepMessageWriter writer(step_limits());
  EXPECT_EQ(arrive(writer.write(StepKind::kEnd, 1, parts), 1).read().value(), StepKind::kEnd);
}

TEST(StepPlan, EveryRankHearsWhetherItsDataIndexDraws) {
  const std::vector<int64_t> has_draws = {0, 0, 1};
  StepMessageWriter writer(step_limits());
  const auto message = writer.write_draws(has_draws);
  for (int64_t data = 0; data < kIndices; ++data) {
    StepMessageReader reader = arrive(message, data);
    ASSERT_EQ(reader.read().value(), StepKind::kDraws);
    EXPECT_EQ(reader.has_draws(), data == 2);
  }
}

TEST(StepPlan, KvBlocksOfOneDataIndex) {
  const std::vector<int32_t> blocks = {31, 0, 7};
  StepMessageWriter writer(step_limits());
  StepMessageReader reader = arrive(writer.write(StepKind::kWriteBlocks, {2, blocks}), 0);
  ASSERT_EQ(reader.read().value(), StepKind::kWriteBlocks);
  EXPECT_EQ(reader.blocks().data_index, 2);
  EXPECT_EQ(list(reader.blocks().blocks), blocks);
  const std::vector<int32_t> no_such_block = {32};
  EXPECT_FALSE(arrive(writer.write(StepKind::kReadBlocks, {0, no_such_block}), 0).read().ok());
  EXPECT_FALSE(arrive(writer.write(StepKind::kReadBlocks, {kIndices, blocks}), 0).read().ok());
  const std::vector<int32_t> too_many(kMaxKvBlocksACall + 1);
  EXPECT_FALSE(arrive(writer.write(StepKind::kReadBlocks, {0, too_many}), 0).read().ok());
}

// Rows 1 to 4: the first sequence's last two given rows, the second's one, the third's first.
TEST(BatchSlice, SequencesAreCutWhereTheyGoBeyond) {
  const Example example;
  BatchSlice rows(step_limits());
  rows.cut(example.batch(), 1, 5);
  EXPECT_EQ(list(rows.batch().tokens), (std::vector<int32_t>{11, 12, 20, 30}));
  expect_equal(rows.batch().given, std::vector<SequenceRows>{{0, 2, 5, example.first_table},
                                                             {3, 1, 0, example.third_table}});
  expect_equal(rows.batch().generated, std::vector<SequenceRows>{{2, 1, 9, example.second_table}});
  EXPECT_EQ(list(rows.batch().logit_rows), (std::vector<int32_t>{1, 2}));
}

// Whatever arrives is read or refused; what is read stays within its part.
TEST(StepPlan, DamagedMessagesAreRefused) {
  const Example example;
  StepParts parts(step_limits());
  parts.split(example.batch(), {});
  StepMessageWriter writer(step_limits());
  const auto message = writer.write(StepKind::kForward, 2, parts);
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::vector<std::byte> damaged(message.begin(), message.end());
    for (int i = 0; i < 3; ++i) {
      auto* at = damaged.data() + random() % 600 / 8 * 8;
      const int64_t value = static_cast<int64_t>(random()) - (int64_t{1} << 31);
      std::memcpy(at, &value, sizeof(value));
    }
    StepMessageReader reader = arrive(damaged, 2);
    if (!reader.size().ok() || !reader.read().ok()) {
      ++refused;
      continue;
    }
    for (const auto& each : reader.part().batch.given) {
      EXPECT_LE(each.query_begin + each.query_count,
                static_cast<int64_t>(reader.part().batch.tokens.size()));
    }
  }
  EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
