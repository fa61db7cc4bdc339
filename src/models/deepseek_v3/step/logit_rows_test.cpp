#include "models/deepseek_v3/step/logit_rows.h"

#include <gtest/gtest.h>

#include <vector>

namespace fathom::models::deepseek_v3 {
namespace {

using Pieces = std::vector<std::vector<int64_t>>;

Pieces pieces(std::span<const SequenceRows> sequences) {
  Pieces all;
  for (const auto& s : sequences) all.push_back({s.query_begin, s.query_count, s.context});
  return all;
}

class LogitRowsTest : public testing::Test {
 protected:
  // Eight rows of a prompt behind 100 others, one of a prompt, and three generated behind 50.
  bool choose(std::vector<int32_t> logit_rows) {
    logit_rows_ = std::move(logit_rows);
    const StepBatch batch = {.tokens = tokens_,
                             .positions = {},
                             .slots = {},
                             .given = given_,
                             .generated = generated_,
                             .logit_rows = logit_rows_,
                             .data_rows = {}};
    return kept_.choose(batch);
  }

  const std::vector<int32_t> tokens_ = std::vector<int32_t>(12);
  const std::vector<SequenceRows> given_ = {{0, 8, 100, {}}, {8, 1, 0, {}}};
  const std::vector<SequenceRows> generated_ = {{9, 3, 50, {}}};
  std::vector<int32_t> logit_rows_;
  LogitRows kept_{{.max_step_tokens = 12, .max_logit_rows = 12, .max_step_sequences = 2}};
};

TEST_F(LogitRowsTest, RowsWithLogitsMoveUpAndKnowTheirContext) {
  ASSERT_TRUE(choose({7, 10, 11}));
  EXPECT_EQ(kept_.count(), 3);
  EXPECT_EQ(pieces(kept_.given()), (Pieces{{0, 1, 107}}));
  EXPECT_EQ(pieces(kept_.generated()), (Pieces{{1, 2, 51}}));
  EXPECT_EQ(kept_.place_of(7), 0);
  EXPECT_EQ(kept_.place_of(11), 2);
}

TEST_F(LogitRowsTest, RowsApartAreSequencesOfTheirOwn) {
  ASSERT_TRUE(choose({2, 3, 5}));
  EXPECT_EQ(pieces(kept_.given()), (Pieces{{0, 2, 102}, {2, 1, 105}}));
  EXPECT_TRUE(kept_.generated().empty());
}

TEST_F(LogitRowsTest, NothingIsKeptWithoutLogits) {
  ASSERT_TRUE(choose({}));
  EXPECT_EQ(kept_.count(), 0);
}

TEST_F(LogitRowsTest, AllRowsStayWhereAllHaveLogitsOrPiecesAreTooMany) {
  EXPECT_FALSE(choose({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_FALSE(choose({0, 2, 4}));
  EXPECT_EQ(kept_.place_of(6), 6);
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
