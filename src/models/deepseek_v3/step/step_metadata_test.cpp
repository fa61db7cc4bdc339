#include "models/deepseek_v3/step/step_metadata.h"

#include <gtest/gtest.h>

#include <vector>

#include "models/testing/fake_chip.h"

namespace fathom::models::deepseek_v3 {
namespace {

constexpr int64_t kVocab = 100;

RunLimits metadata_limits() {
  return {.max_step_tokens = 24,
          .max_logit_rows = 4,
          .max_context = 40,
          .max_step_sequences = 3,
          .num_kv_blocks = 64,
          .kv_block_size = 4};
}

// Five given rows of one sequence behind six others, one of another, and one generated row of the
// first, which has a block more than it needs.
struct TwoSequences {
  std::vector<int32_t> tokens = {10, 60, 12, 13, 14, 20, 99};
  std::vector<int32_t> positions = {6, 7, 8, 9, 10, 0, 11};
  std::vector<int64_t> slots = {126, 127, 8, 9, 10, 40, 11};
  std::vector<int32_t> first_table = {7, 31, 2, 50};
  std::vector<int32_t> second_table = {10};
  std::vector<SequenceRows> given = {{0, 5, 6, first_table}, {5, 1, 0, second_table}};
  std::vector<SequenceRows> generated = {{6, 1, 11, first_table}};
  std::vector<int32_t> logit_rows = {1, 4, 6};

  StepBatch batch() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = slots,
            .given = given,
            .generated = generated,
            .logit_rows = logit_rows,
            .data_rows = {}};
  }
};

template <typename T>
std::vector<T> first_of(const T* values, size_t count) {
  return {values, values + count};
}

// A chip whose memory is the host's, or one with copies only.
class StepMetadataTest : public ::testing::TestWithParam<uint32_t> {
 protected:
  StepMetadataTest() { make({0, kVocab}); }

  void make(const Range& tokens) {
    metadata_ =
        StepMetadata::make(*device_, memory_.data(), metadata_limits(), tokens, kVocab).value();
  }
  StepInputs upload(const StepBatch& batch, std::span<const int32_t> sources = {},
                    const LogitRows* kept = nullptr) {
    return metadata_.upload(batch, sources, kept).value();
  }

  // Queries, context and block table of each sequence of a list.
  using Lists = std::vector<std::vector<int32_t>>;
  static Lists lists(const fathom_sequences& of) {
    Lists all;
    for (int32_t i = 0; i < *of.count; ++i) {
      const fathom_sequence& each = of.sequences[i];
      std::vector<int32_t> list = {each.query_begin, each.query_count, each.context};
      for (int32_t p = 0; p < each.context + each.query_count; p += 4) {
        list.push_back(of.blocks[each.block_begin + p / 4]);
      }
      all.push_back(std::move(list));
    }
    return all;
  }

  FakeChip chip_ = {.capabilities = GetParam()};
  std::unique_ptr<device::Device> device_ = chip_.open();
  device::Buffer memory_ = device_->alloc(StepMetadata::max_bytes(metadata_limits())).value();
  StepMetadata metadata_;
};

TEST_P(StepMetadataTest, IsWhatTheBatchSays) {
  const TwoSequences two;
  const std::vector<int32_t> sources = {3, 1, 4, 1, 5, 9, 2};
  const StepInputs in = upload(two.batch(), sources);
  EXPECT_EQ(first_of(in.tokens, 7), two.tokens);
  EXPECT_EQ(first_of(in.positions, 7), two.positions);
  EXPECT_EQ(first_of(in.slots, 7), two.slots);
  EXPECT_EQ(first_of(in.sources, 7), sources);
  EXPECT_EQ(first_of(in.logit_rows, 3), two.logit_rows);
  EXPECT_EQ(lists(in.sequences[kGiven]), (Lists{{0, 5, 6, 7, 31, 2}, {5, 1, 0, 10}}));
  EXPECT_EQ(lists(in.sequences[kGenerated]), (Lists{{6, 1, 11, 7, 31, 2}}));
  EXPECT_EQ(lists(in.sequences[kKeptGiven]), Lists());
  EXPECT_EQ(in.sequences[kGiven].max_sequences, 2);
  EXPECT_EQ(in.sequences[kGiven].max_queries, 7);
  EXPECT_EQ(in.sequences[kGiven].max_positions, 40);
  EXPECT_EQ(*in.rows, 7);
  EXPECT_EQ(in.sequences[kKeptGiven].max_sequences, 0);
}

// Rows apart are pieces with the block table of their sequence: more of them than sequences.
TEST_P(StepMetadataTest, KeptRowsHaveTheirSequencesTables) {
  const TwoSequences two;
  LogitRows kept(metadata_limits());
  ASSERT_TRUE(kept.choose(two.batch()));
  const StepInputs in = upload(two.batch(), {}, &kept);
  EXPECT_EQ(lists(in.sequences[kKeptGiven]), (Lists{{0, 1, 7, 7, 31}, {1, 1, 10, 7, 31, 2}}));
  EXPECT_EQ(lists(in.sequences[kKeptGenerated]), (Lists{{2, 1, 11, 7, 31, 2}}));
  EXPECT_EQ(in.sequences[kKeptGiven].max_queries, 3);
}

TEST_P(StepMetadataTest, ARankWithAPartOfTheVocabularyHasNoOtherTokens) {
  make({12, 61});
  const StepInputs in = upload(TwoSequences().batch());
  EXPECT_EQ(first_of(in.tokens, 7), (std::vector<int32_t>{-1, 48, 0, 1, 2, 8, -1}));
}

TEST_P(StepMetadataTest, PlacesDependOnTheBucketAlone) {
  const TwoSequences two;
  const StepInputs in = upload(two.batch());
  TwoSequences other;
  other.tokens.push_back(5);
  other.positions.push_back(12);
  other.slots.push_back(12);
  other.generated = {{6, 2, 11, other.first_table}};
  other.given.pop_back();
  const StepInputs again = upload(other.batch());
  EXPECT_EQ(again.tokens, in.tokens);
  EXPECT_EQ(again.slots, in.slots);
  EXPECT_EQ(again.logit_rows, in.logit_rows);
  for (const auto list : {kGiven, kGenerated, kKeptGiven, kKeptGenerated}) {
    // The other step has one sequence where this one has two at most.
    EXPECT_EQ(again.sequences[list].count, in.sequences[list].count);
  }
}

TEST_P(StepMetadataTest, OneCopyOfWhatIsUsed) {
  const int64_t copies = FakeChip::copies;
  const size_t bytes = FakeChip::copied_bytes;
  upload(TwoSequences().batch());
  const bool is_copied = GetParam() == 0;
  EXPECT_EQ(FakeChip::copies - copies, is_copied ? 1 : 0);
  const MetadataLayout layout({.rows = 8, .logit_rows = 4, .sequences = 2, .positions = 40});
  EXPECT_EQ(FakeChip::copied_bytes - bytes,
            is_copied ? layout.blocks + 7 * sizeof(int32_t) : size_t{0});
}

// Three sequences' next tokens in a bucket of four rows.
struct ThreeTokens {
  std::vector<int32_t> tokens = {10, -2, 12};
  std::vector<int32_t> positions = {6, 0, 11};
  std::vector<int64_t> slots = {126, 40, 11};
  std::vector<int32_t> tables[3] = {{7, 31}, {10}, {5, 3, 2}};
  std::vector<SequenceRows> generated = {
      {0, 1, 6, tables[0]}, {1, 1, 0, tables[1]}, {2, 1, 11, tables[2]}};
  std::vector<int32_t> logit_rows = {0, 1, 2};

  StepBatch batch() const {
    return {.tokens = tokens,
            .positions = positions,
            .slots = slots,
            .given = {},
            .generated = generated,
            .logit_rows = logit_rows,
            .data_rows = {}};
  }
};
constexpr StepBucket kFourRows = {.rows = 4, .logit_rows = 4, .sequences = 4, .positions = 40};

TEST_P(StepMetadataTest, RowsThatAreLeftArePadding) {
  ASSERT_TRUE(metadata_.upload_padded(ThreeTokens().batch(), kFourRows).ok());
  const StepInputs in = metadata_.inputs_of(kFourRows);
  EXPECT_EQ(*in.rows, 3);
  EXPECT_EQ(first_of(in.tokens, 4), (std::vector<int32_t>{10, -2, 12, -1}));
  EXPECT_EQ(first_of(in.positions, 4), (std::vector<int32_t>{6, 0, 11, 0}));
  // The block behind the 64 of the pool, which have 4 rows each.
  EXPECT_EQ(first_of(in.slots, 4), (std::vector<int64_t>{126, 40, 11, 256}));
  EXPECT_EQ(lists(in.sequences[kGenerated]),
            (Lists{{0, 1, 6, 7, 31}, {1, 1, 0, 10}, {2, 1, 11, 5, 3, 2}}));
  for (const auto list : {kGiven, kKeptGiven, kKeptGenerated}) {
    EXPECT_EQ(*in.sequences[list].count, 0);
    EXPECT_EQ(in.sequences[list].max_sequences, 0);
  }
  EXPECT_EQ(in.sequences[kGenerated].max_sequences, 4);
  EXPECT_EQ(in.sequences[kGenerated].max_queries, 4);
  EXPECT_EQ(in.sequences[kGenerated].max_positions, 40);
}

TEST_P(StepMetadataTest, PaddingHasRowsOfItsOwn) {
  ThreeTokens one;
  one.tokens.resize(1);
  one.positions.resize(1);
  one.slots.resize(1);
  one.generated.resize(1);
  one.logit_rows.resize(1);
  ASSERT_TRUE(metadata_.upload_padded(one.batch(), kFourRows).ok());
  const StepInputs in = metadata_.inputs_of(kFourRows);
  EXPECT_EQ(*in.rows, 1);
  EXPECT_EQ(first_of(in.slots, 4), (std::vector<int64_t>{126, 256, 257, 258}));
}

// What a graph has recorded holds for each later step: fewer sequences, other tables, one copy.
TEST_P(StepMetadataTest, ABucketsPlacesHoldForEachStep) {
  const StepInputs in = metadata_.inputs_of(kFourRows);
  const ThreeTokens three;
  ThreeTokens other;
  other.generated.pop_back();
  other.tokens.pop_back();
  other.positions.pop_back();
  other.slots.pop_back();
  other.logit_rows.pop_back();
  other.tables[0] = {9, 8};
  for (const StepBatch& batch : {three.batch(), other.batch()}) {
    const int64_t copies = FakeChip::copies;
    ASSERT_TRUE(metadata_.upload_padded(batch, kFourRows).ok());
    EXPECT_EQ(FakeChip::copies - copies, GetParam() == 0 ? 1 : 0);
    EXPECT_EQ(*in.rows, static_cast<int32_t>(batch.tokens.size()));
    ASSERT_EQ(*in.sequences[kGenerated].count, static_cast<int32_t>(batch.generated.size()));
    for (size_t i = 0; i < batch.generated.size(); ++i) {
      EXPECT_EQ(lists(in.sequences[kGenerated])[i][3], batch.generated[i].block_table[0]);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Memory, StepMetadataTest,
                         ::testing::Values(uint32_t{FATHOM_CAP_HOST_MEMORY}, uint32_t{0}));

TEST(StepBucketTest, RoundsUpWithinTheLimits) {
  const RunLimits limits = metadata_limits();
  TwoSequences two;
  EXPECT_EQ(StepBucket::of(two.batch(), nullptr, limits),
            (StepBucket{.rows = 8, .logit_rows = 4, .sequences = 2, .positions = 40}));
  two.tokens.resize(17);
  two.given = {{0, 17, 20, {}}, {}, {}};
  EXPECT_EQ(StepBucket::of(two.batch(), nullptr, limits),
            (StepBucket{.rows = 24, .logit_rows = 4, .sequences = 3, .positions = 40}));
  EXPECT_EQ(StepBucket::of({}, nullptr, limits), StepBucket());
}

TEST(StepBucketTest, PositionsAreRoundedToPowersOfFour) {
  RunLimits limits = metadata_limits();
  limits.max_context = 20000;
  const auto rounded = [&](int64_t positions) {
    return StepBucket::rounded_positions(positions, limits);
  };
  EXPECT_EQ(rounded(1), 1024);
  EXPECT_EQ(rounded(1024), 1024);
  EXPECT_EQ(rounded(1025), 4096);
  EXPECT_EQ(rounded(16384), 16384);
  EXPECT_EQ(rounded(16385), 20000);
}

TEST(StepBucketTest, NoBucketTakesMoreThanTheLargest) {
  const RunLimits limits = metadata_limits();
  const size_t most = MetadataLayout(StepBucket::largest(limits)).blocks;
  for (const int64_t rows : {0, 1, 2, 4, 8, 16, 24}) {
    for (const int64_t sequences : {0, 1, 2, 3}) {
      EXPECT_LE(MetadataLayout({rows, std::min<int64_t>(rows, 4), sequences, 40}).blocks, most);
    }
  }
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
