#include "models/deepseek_v3/step/step_graphs.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <utility>

#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

RunLimits graph_limits(int64_t sequences, int64_t context = 1024) {
  return {.max_step_tokens = 1000,
          .max_logit_rows = sequences + 64,
          .max_context = context,
          .max_step_sequences = sequences,
          .num_kv_blocks = 64,
          .kv_block_size = 32};
}

std::vector<int64_t> rows_of(const std::vector<StepBucket>& buckets) {
  std::vector<int64_t> rows;
  for (const StepBucket& bucket : buckets) rows.push_back(bucket.rows);
  return rows;
}

// A step of so many sequences, the longest `positions` long.
class DecodeStepOf {
 public:
  explicit DecodeStepOf(size_t rows, int64_t positions = 1)
      : tokens_(rows), positions_(rows), logit_rows_(rows), slots_(rows), generated_(rows) {
    for (size_t i = 0; i < rows; ++i) {
      generated_[i] = {static_cast<int64_t>(i), 1, 0, {}};
      logit_rows_[i] = static_cast<int32_t>(i);
    }
    if (rows > 0) generated_.back().context = positions - 1;
  }

  StepBatch batch() const {
    return {.tokens = tokens_,
            .positions = positions_,
            .slots = slots_,
            .given = {},
            .generated = generated_,
            .logit_rows = logit_rows_,
            .data_rows = {}};
  }

 private:
  std::vector<int32_t> tokens_, positions_, logit_rows_;
  std::vector<int64_t> slots_;
  std::vector<SequenceRows> generated_;
};

TEST(DecodeBuckets, AreThoseThatTheirHeaderLists) {
  EXPECT_EQ(rows_of(decode_buckets(graph_limits(100))),
            (std::vector<int64_t>{1, 2, 4, 8, 16, 32, 64, 96, 100}));
  EXPECT_EQ(rows_of(decode_buckets(graph_limits(1))), (std::vector<int64_t>{1}));
  RunLimits short_blocks = graph_limits(40);
  short_blocks.kv_block_size = 16;
  EXPECT_EQ(rows_of(decode_buckets(short_blocks)), (std::vector<int64_t>{1, 2, 4, 8, 16, 32, 40}));
  RunLimits few_logits = graph_limits(40);
  few_logits.max_logit_rows = 5;
  EXPECT_EQ(rows_of(decode_buckets(few_logits)), (std::vector<int64_t>{1, 2, 4, 5}));
  const auto contexts = decode_buckets(graph_limits(2, 5000));
  ASSERT_EQ(contexts.size(), 6u);
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(contexts[i].positions, (std::vector<int64_t>{1024, 4096, 5000}[i]));
    EXPECT_EQ(contexts[i].rows, 1);
    EXPECT_EQ(contexts[i + 3].sequences, 2);
  }
}

// The block that padding writes to has a row for each.
TEST(DecodeBuckets, TakeEachStepWithLessPaddingThanABlockHasRows) {
  for (const int32_t block_size : {16, 24, 32, 128}) {
    RunLimits limits = graph_limits(300, 5000);
    limits.kv_block_size = block_size;
    const auto buckets = decode_buckets(limits);
    for (size_t rows = 1; rows <= 300; ++rows) {
      const auto bucket = decode_bucket_of(DecodeStepOf(rows, 4097).batch(), limits);
      ASSERT_TRUE(bucket.has_value());
      EXPECT_EQ(std::ranges::count(buckets, *bucket), 1);
      EXPECT_GE(bucket->rows, static_cast<int64_t>(rows));
      EXPECT_LT(bucket->rows - static_cast<int64_t>(rows), block_size);
      EXPECT_EQ(bucket->positions, 5000);
    }
  }
}

TEST(DecodeBuckets, TakeNoOtherSteps) {
  const RunLimits limits = graph_limits(8);
  EXPECT_FALSE(decode_bucket_of(DecodeStepOf(0).batch(), limits));
  EXPECT_FALSE(decode_bucket_of(DecodeStepOf(9).batch(), limits));
  const DecodeStepOf two(2);
  const std::vector<SequenceRows> one_of_two_rows = {{0, 2, 0, {}}};
  StepBatch batch = two.batch();
  batch.generated = one_of_two_rows;
  EXPECT_FALSE(decode_bucket_of(batch, limits)) << "a sequence with a draft";
  batch = two.batch();
  batch.logit_rows = batch.logit_rows.first(1);
  EXPECT_FALSE(decode_bucket_of(batch, limits)) << "a token that is replayed";
  batch = two.batch();
  batch.given = batch.generated.first(1);
  batch.generated = batch.generated.last(1);
  EXPECT_FALSE(decode_bucket_of(batch, limits)) << "a prompt";
}

// Counts what is recorded, and has memory for `room` graphs.
class GraphChip {
 public:
  GraphChip() {
    recorded = ended = 0;
    chip_.capabilities = FATHOM_CAP_GRAPHS;
    chip_.table.graph_begin = [](fathom_device*, fathom_stream*) { return FATHOM_OK; };
    chip_.table.graph_end = [](fathom_device*, fathom_stream*, fathom_graph** graph) {
      if (recorded == room) return FATHOM_NO_MEMORY;
      ++recorded;
      *graph = reinterpret_cast<fathom_graph*>(&recorded);
      return FATHOM_OK;
    };
    chip_.table.graph_destroy = [](fathom_device*, fathom_graph*) { ++ended; };
    device = chip_.open();
  }

  static inline thread_local int recorded = 0;
  static inline thread_local int ended = 0;
  static inline thread_local int room = 0;

 private:
  FakeChip chip_;

 public:
  std::unique_ptr<device::Device> device;
};

TEST(StepGraphs, HaveOneForEachBucket) {
  GraphChip::room = 100;
  GraphChip chip;
  const RunLimits limits = graph_limits(4, 2000);
  std::vector<StepBucket> queued;
  {
    const auto graphs = StepGraphs::record(*chip.device, limits, [&](const StepBucket& bucket) {
                          queued.push_back(bucket);
                          return Status();
                        }).value();
    EXPECT_EQ(queued, decode_buckets(limits));
    EXPECT_EQ(GraphChip::recorded, 6);
    const RecordedStep* found = graphs.find(DecodeStepOf(3, 1025).batch());
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->bucket,
              (StepBucket{.rows = 4, .logit_rows = 4, .sequences = 4, .positions = 2000}));
    EXPECT_EQ(graphs.find(DecodeStepOf(5).batch()), nullptr);
  }
  EXPECT_EQ(GraphChip::ended, 6);
}

TEST(StepGraphs, AreAsManyAsThereIsMemoryFor) {
  GraphChip::room = 2;
  GraphChip chip;
  const auto graphs = StepGraphs::record(*chip.device, graph_limits(4), [](const StepBucket&) {
                        return Status();
                      }).value();
  EXPECT_NE(graphs.find(DecodeStepOf(2).batch()), nullptr);
  EXPECT_EQ(graphs.find(DecodeStepOf(3).batch()), nullptr);
}

TEST(StepGraphs, WhatCannotBeQueuedIsAnError) {
  GraphChip::room = 100;
  GraphChip chip;
  const auto graphs =
      StepGraphs::record(*chip.device, graph_limits(4), [](const StepBucket&) -> Status {
        return Error{ErrorCode::kInternal, "no kernel"};
      });
  ASSERT_FALSE(graphs.ok());
  EXPECT_EQ(graphs.error().message, "no kernel");
}

TEST(StepGraphs, OfAChipWithoutThemTakeNoStep) {
  EXPECT_EQ(StepGraphs().find(DecodeStepOf(1).batch()), nullptr);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
