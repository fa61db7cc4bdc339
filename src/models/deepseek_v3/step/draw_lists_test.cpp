#include "models/deepseek_v3/step/draw_lists.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "models/testing/fake_chip.h"
#include "sampling/contract_draw.h"
#include "sampling/testing/cases.h"

namespace fathom::models::deepseek_v3 {
namespace {

using sampling::Dice;

class DrawListsTest : public ::testing::Test {
 protected:
  // Lists of `max_draws` at most, in memory of a chip that is the host's.
  void make(int64_t max_draws, int64_t vocab) {
    vocab_ = vocab;
    memory_.assign(DrawLayout::max_bytes(max_draws, vocab) / sizeof(uint64_t) + 1,
                   0x7fff7fff7fff7fff);
    lists_ = DrawLists::make(*device_, memory_.data(), max_draws, vocab).value();
  }
  std::optional<ops::Sample> upload(const std::vector<sampling::Case>& cases) {
    draws_.clear();
    rows_.clear();
    for (const sampling::Case& c : cases) {
      rows_.push_back(static_cast<int32_t>(draws_.size()));
      draws_.push_back(c.of_draw());
    }
    return lists_.upload({.draws = draws_, .rows = rows_, .read = {}}).value();
  }
  bool is_within(const void* at) const {
    return at >= memory_.data() && at <= memory_.data() + memory_.size();
  }

  FakeChip chip_;
  std::unique_ptr<device::Device> device_ = chip_.open();
  int64_t vocab_ = 0;
  std::vector<uint64_t> memory_;
  DrawLists lists_;
  std::vector<sampling::Draw> draws_;
  std::vector<int32_t> rows_;
};

TEST_F(DrawListsTest, SayWhatTheDrawsSay) {
  Dice dice(3);
  for (int round = 0; round < 300; ++round) {
    const size_t vocab = 1 + dice.below(150);
    std::vector<sampling::Case> cases;
    for (uint64_t i = 1 + dice.below(8); i > 0; --i) {
      sampling::Case c = random_case(dice, vocab);
      make_odd(c, dice);
      for (uint64_t j = dice.below(6); j > 0; --j) {
        c.params.logit_bias.emplace_back(dice.below(vocab), dice.real(-2, 2));
      }
      cases.push_back(c);
    }
    make(8, static_cast<int64_t>(vocab));
    const auto sample = upload(cases);
    ASSERT_TRUE(sample.has_value());
    ASSERT_EQ(*sample->num_draws, static_cast<int32_t>(cases.size()));
    sampling::SamplerScratch scratch(vocab_);
    for (size_t i = 0; i < cases.size(); ++i) {
      const fathom_draw& draw = sample->draws[i];
      ASSERT_EQ(draw.logit_row, static_cast<int32_t>(i));
      ASSERT_EQ(sampling::draw_token(*sample, draw, cases[i].logits, scratch.row),
                cases[i].reference())
          << round << " " << i;
    }
    for (const int32_t count : scratch.counts) ASSERT_EQ(count, 0);
  }
}

TEST_F(DrawListsTest, BringBiasesOfATokenTogetherInTheirOrder) {
  make(1, 10);
  sampling::Case c;
  c.params.logit_bias = {{3, 1}, {5, 2}, {3, 3}, {9, 4}, {5, 5}, {3, 6}};
  const auto sample = upload({c});
  ASSERT_TRUE(sample.has_value());
  const fathom_draw& draw = sample->draws[0];
  std::vector<std::pair<int32_t, float>> got;
  for (int32_t i = 0; i < draw.bias_count; ++i) {
    const fathom_token_bias& entry = sample->biases[draw.bias_begin + i];
    got.emplace_back(entry.token, entry.bias);
  }
  EXPECT_EQ(got, (std::vector<std::pair<int32_t, float>>{
                     {3, 1}, {3, 3}, {3, 6}, {5, 2}, {5, 5}, {9, 4}}));
}

TEST_F(DrawListsTest, HoldOnlyWhatPenaltiesChange) {
  make(4, 10);
  sampling::Case c;
  c.tokens = {1, 2, 2, 3, 2};
  c.generated_from = 3;
  const auto seen = [&](float repetition, float presence) {
    c.params.repetition_penalty = repetition;
    c.params.presence_penalty = presence;
    const auto sample = upload({c});
    const fathom_draw& draw = sample->draws[0];
    std::vector<std::pair<int32_t, int32_t>> all;
    for (int32_t i = 0; i < draw.seen_count; ++i) {
      const fathom_seen_token& entry = sample->seen[draw.seen_begin + i];
      all.emplace_back(entry.token, entry.count);
    }
    return all;
  };
  using Seen = std::vector<std::pair<int32_t, int32_t>>;
  EXPECT_EQ(seen(1, 0), Seen());
  EXPECT_EQ(seen(1, 0.5f), (Seen{{3, 1}, {2, 1}}));
  EXPECT_EQ(seen(2, 0), (Seen{{1, 0}, {2, 1}, {3, 1}}));
}

// What comes from another rank is drawn with only where it stays within its memory, the step and
// the vocabulary: an address sanitizer sees the rest.
TEST_F(DrawListsTest, DamagedOnesAreRefused) {
  constexpr size_t kVocab = 70;
  Dice dice(5);
  DrawLayout layout(4, kVocab);
  std::vector<uint64_t> room(DrawLayout::max_bytes(4, kVocab) / sizeof(uint64_t) + 1);
  int refused = 0;
  int drawn = 0;
  for (int round = 0; round < 2000; ++round) {
    std::vector<sampling::Case> cases;
    for (size_t i = 0; i < 4; ++i) cases.push_back(random_case(dice, kVocab));
    std::vector<sampling::Draw> draws;
    for (const sampling::Case& c : cases) draws.push_back(c.of_draw());
    const std::vector<int32_t> rows = {0, 1, 2, 3};
    const auto laid_out = layout.lay_out({.draws = draws, .rows = rows, .read = {}},
                                         reinterpret_cast<std::byte*>(room.data()));
    ASSERT_TRUE(laid_out.has_value());
    std::vector<std::byte> memory(static_cast<size_t>(laid_out->bytes));
    std::memcpy(memory.data(), room.data(), memory.size());
    const ops::Sample sample = sample_at(memory.data(), *laid_out);
    ASSERT_TRUE(check_draws(memory, *laid_out, 4, kVocab).ok());
    auto& damaged = const_cast<fathom_draw&>(sample.draws[dice.below(4)]);
    int32_t* const fields[] = {&damaged.logit_row,    &damaged.mask,        &damaged.seen_begin,
                               &damaged.seen_count,   &damaged.bias_begin,  &damaged.bias_count,
                               &damaged.banned_begin, &damaged.banned_count};
    *fields[dice.below(8)] = static_cast<int32_t>(dice.below(12)) - 4;
    LaidOutDraws told = *laid_out;
    if (round % 8 == 0) told.masks_begin = static_cast<int64_t>(dice.below(4000)) - 100;
    if (!check_draws(memory, told, 4, kVocab).ok()) {
      ++refused;
      continue;
    }
    ++drawn;
    const ops::Sample got = sample_at(memory.data(), told);
    sampling::SamplerScratch scratch(kVocab);
    for (size_t i = 0; i < 4; ++i) {
      const auto& logits = cases[static_cast<size_t>(got.draws[i].logit_row)].logits;
      sampling::draw_token(got, got.draws[i], logits, scratch.row);
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(drawn, 100);
}

TEST_F(DrawListsTest, HaveRoomForMasksOfAllDrawsBesideFullLists) {
  constexpr size_t kDraws = 3;
  constexpr int64_t kVocab = 70;
  constexpr size_t kEntries = DrawLayout::kListBytes / sizeof(fathom_token_bias);
  make(kDraws, kVocab);
  std::vector<sampling::Case> cases(kDraws);
  for (sampling::Case& c : cases) {
    c.mask = {1, 2, 3};
    c.params.logit_bias.assign(kEntries, {4, 0.5f});
  }
  const auto full = upload(cases);
  ASSERT_TRUE(full.has_value());
  EXPECT_EQ(full->draws[2].mask, 2);
  EXPECT_EQ(full->masks[2 * 3 + 2], 3u);
  EXPECT_TRUE(is_within(full->masks + kDraws * 3));

  cases[1].banned = {1};
  EXPECT_FALSE(upload(cases).has_value()) << "one entry more than there is room for";
  cases[2].params.logit_bias.clear();
  EXPECT_TRUE(upload(cases).has_value()) << "room that one leaves is another's";
}

}  // namespace
}  // namespace fathom::models::deepseek_v3
