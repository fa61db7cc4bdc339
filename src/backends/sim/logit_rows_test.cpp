#include "backends/sim/logit_rows.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <vector>

#include "sampling/contract_draw.h"
#include "sampling/testing/cases.h"

namespace fathom::sim {
namespace {

using sampling::Dice;

constexpr int64_t kVocab = 5000;

class LogitRowsTest : public ::testing::Test {
 protected:
  fathom_tensor logits(std::vector<float>& rows) {
    return {
        rows.data(), FATHOM_F32, 2, {std::ssize(rows) / kVocab, kVocab, 1, 1}, {kVocab, 1, 1, 1}};
  }

  LogitRows rows_;
};

TEST_F(LogitRowsTest, AreWrittenOverAsWhole) {
  std::vector<float> row(kVocab, 7.0f);
  std::vector<float> whole(kVocab);
  for (uint64_t bits = 1; bits < 50; ++bits) {
    rows_.write(row.data(), kVocab, {bits});
    write_logits(whole.data(), kVocab, {bits});
    ASSERT_EQ(row, whole) << bits;
  }
  rows_.forget(row.data() + 17, 4);
  row[17] = 3;
  rows_.write(row.data(), kVocab, {77});
  write_logits(whole.data(), kVocab, {77});
  EXPECT_EQ(row, whole);
}

// Random lists, of which many are of tokens that stand out.
struct RandomDraw {
  RandomDraw(Dice& dice, RowState state) {
    std::array<StandingOut, kStandingOut> best;
    standing_out(state, kVocab, best);
    const auto token = [&] {
      return dice.chance(2) ? best[dice.below(kStandingOut)].token
                            : static_cast<int32_t>(dice.below(kVocab));
    };
    if (dice.chance(2)) {
      std::map<int32_t, int32_t> counts;
      for (uint64_t i = dice.below(60); i > 0; --i) {
        counts[token()] = static_cast<int32_t>(dice.below(3));
      }
      for (const auto& [seen_token, count] : counts) seen.push_back({seen_token, count});
    }
    if (dice.chance(3)) {
      for (uint64_t i = 1 + dice.below(4); i > 0; --i)
        biases.push_back({token(), dice.real(-9, 9)});
    }
    if (dice.chance(3)) banned = {token(), token()};
    if (dice.chance(2)) {
      masks.resize((kVocab + 31) / 32);
      for (uint32_t& word : masks) word = static_cast<uint32_t>(dice.bits());
      if (dice.chance(4)) std::ranges::fill(masks, 0u);
    }
    draw.mask = masks.empty() ? -1 : 0;
    draw.seen_count = static_cast<int32_t>(seen.size());
    draw.bias_count = static_cast<int32_t>(biases.size());
    draw.banned_count = static_cast<int32_t>(banned.size());
    sampling::Parameters params;
    params.temperature = dice.chance(5) ? 0.0f : dice.real(0.2, 4);
    if (dice.chance(3)) params.top_p = dice.real(0.1, 1);
    if (dice.chance(3)) params.top_k = static_cast<int32_t>(1 + dice.below(12));
    if (dice.chance(4)) params.min_p = dice.real(0, 0.3);
    params.repetition_penalty = dice.chance(3) ? dice.real(0.7, 1.5) : 1.0f;
    params.presence_penalty = dice.chance(3) ? dice.real(-2, 2) : 0.0f;
    params.frequency_penalty = dice.chance(3) ? dice.real(-2, 2) : 0.0f;
    sampling::set_terms(sampling::terms_of(params), draw);
    draw.noise = dice.bits();
  }

  fathom_sample_args args(const fathom_tensor& logits) const {
    fathom_sample_args all = {};
    all.logits = logits;
    all.masks = masks.data();
    all.seen = seen.data();
    all.biases = biases.data();
    all.banned = banned.data();
    return all;
  }

  fathom_draw draw = {};
  std::vector<uint32_t> masks;
  std::vector<fathom_seen_token> seen;
  std::vector<fathom_token_bias> biases;
  std::vector<int32_t> banned;
};

TEST_F(LogitRowsTest, AreDrawnFromAsTheSamplerDoes) {
  Dice dice(8);
  std::vector<float> row(kVocab);
  sampling::SamplerScratch scratch(kVocab);
  int drawn = 0;
  constexpr int kRounds = 6000;
  for (int round = 0; round < kRounds; ++round) {
    const RowState state = {dice.bits()};
    rows_.write(row.data(), kVocab, state);
    const RandomDraw random(dice, state);
    const auto args = random.args(logits(row));
    const auto got = rows_.draw(args, random.draw);
    if (!got) continue;
    ++drawn;
    ASSERT_EQ(*got, sampling::draw_token(args, random.draw, row, scratch.row).value_or(-1))
        << round;
  }
  EXPECT_GT(drawn, kRounds / 2);
}

TEST_F(LogitRowsTest, AreUnknownWhereSomethingElseWasWritten) {
  Dice dice(9);
  std::vector<float> rows(3 * kVocab);
  const fathom_tensor tensor = logits(rows);
  for (int64_t r = 0; r < 3; ++r) rows_.write(rows.data() + r * kVocab, kVocab, {5});
  RandomDraw random(dice, {5});
  random.draw = {};
  random.draw.greedy = 1;
  random.draw.mask = -1;
  const auto known = [&](int32_t row) {
    random.draw.logit_row = row;
    return rows_.draw(random.args(tensor), random.draw).has_value();
  };
  EXPECT_TRUE(known(0) && known(1) && known(2));
  rows_.forget(rows.data() + kVocab + 1, sizeof(float));
  EXPECT_TRUE(known(0) && !known(1) && known(2));
  rows_.forget(rows.data() + kVocab, kVocab * sizeof(float));
  EXPECT_TRUE(known(0) && known(2));
  rows_.forget(rows.data(), rows.size() * sizeof(float));
  EXPECT_FALSE(known(0) || known(2));
}

}  // namespace
}  // namespace fathom::sim
