// Tokens drawn on the emulated chip are those that the rule's oracle draws.
#include <gtest/gtest.h>

#include "backends/gpu/kernels/testing/chips.h"
#include "backends/gpu/kernels/testing/draw_lists.h"

namespace fathom::gpu::test {
namespace {

std::vector<int32_t> sample_on(TestChip& chip, const std::vector<float>& logits, int64_t vocab,
                               DrawLists lists) {
  // Room for one more than there are.
  const auto count = static_cast<int32_t>(lists.draws.size());
  const auto room = static_cast<size_t>(count) + 1;
  lists.draws.resize(room);
  lists.masks.resize(room * static_cast<size_t>((vocab + 31) / 32));
  const auto list = [&](auto& entries) {
    entries.resize(entries.size() + 1);
    return chip.upload(entries);
  };
  fathom_sample_args args = {};
  args.size = sizeof(args);
  args.logits = device::matrix(chip.upload(logits), FATHOM_F32,
                               static_cast<int64_t>(logits.size()) / vocab, vocab);
  args.draws = chip.upload(lists.draws);
  args.num_draws = chip.upload(std::vector<int32_t>{count});
  args.max_draws = static_cast<int64_t>(room);
  args.masks = chip.upload(lists.masks);
  args.seen = list(lists.seen);
  args.biases = list(lists.biases);
  args.banned = list(lists.banned);
  args.tokens = chip.upload(std::vector<int32_t>(room, 77));
  chip.run_with_workspace(FATHOM_OP_SAMPLE, args);
  return chip.download<int32_t>(args.tokens, room);
}

TEST(GpuSample, DrawsWhatTheOracleDraws) {
  sampling::Dice dice(41);
  int calls = 0;
  for (const int warp : kWidths) {
    for (const std::string& order : lane_orders()) {
      TestChip chip = TestChip::emulated(warp, order);
      for (const size_t most : {size_t{4}, size_t{200}, size_t{200}, size_t{2000}}) {
        const size_t vocab = 1 + dice.below(most);
        DrawLists lists;
        std::vector<float> logits;
        std::vector<int32_t> wanted;
        for (int32_t row = 0; row < 6; ++row) {
          sampling::Case c = sampling::random_case(dice, vocab);
          sampling::make_odd(c, dice);
          logits.insert(logits.end(), c.logits.begin(), c.logits.end());
          lists.add(c, row);
          wanted.push_back(c.reference().value_or(-1));
        }
        wanted.push_back(77);
        ASSERT_EQ(sample_on(chip, logits, static_cast<int64_t>(vocab), lists), wanted)
            << "call " << calls << ", warps of " << warp << ", order " << order;
        ++calls;
      }
    }
  }
}

// Where all tokens are alike, one too many shows soon.
TEST(GpuSample, KeepsAsManyAsTopKSays) {
  DrawLists lists;
  std::vector<float> logits;
  std::vector<int32_t> wanted;
  for (int32_t row = 0; row < 18; ++row) {
    sampling::Case c;
    c.logits.assign(40, 1.0f);
    c.params.top_k = 1 + row % 3;
    c.seed = static_cast<uint64_t>(row);
    logits.insert(logits.end(), c.logits.begin(), c.logits.end());
    lists.add(c, row);
    wanted.push_back(*c.reference());
  }
  wanted.push_back(77);
  for (const int warp : kWidths) {
    TestChip chip = TestChip::emulated(warp, "rising");
    EXPECT_EQ(sample_on(chip, logits, 40, lists), wanted) << "warps of " << warp;
  }
}

// Entries of one token stand at other places in each list, so that other threads take them.
TEST(GpuSample, ChangesALogitInTheRulesOrder) {
  sampling::Case penalised;
  penalised.logits = {4, 0, 0, 4.5f, 0, 0, 4};
  penalised.params.temperature = 0;
  penalised.params.repetition_penalty = 2;
  penalised.tokens = {0, 1, 2, 4, 5, 6};
  // (4 / 2) + 3 is above 4.5, (4 + 3) / 2 is not.
  for (const int32_t token : {0, 6}) {
    sampling::Case c = penalised;
    const int32_t other = 6 - token;
    c.params.logit_bias = {{1, 0.1f}, {2, 0.1f}, {4, 0.1f}, {token, 3.0f}};
    c.logits[static_cast<size_t>(other)] = 0;
    ASSERT_EQ(c.reference(), token);
    for (const int warp : kWidths) {
      for (const std::string& order : lane_orders()) {
        DrawLists lists;
        lists.add(c, 0);
        TestChip chip = TestChip::emulated(warp, order);
        EXPECT_EQ(sample_on(chip, c.logits, 7, lists), (std::vector<int32_t>{token, 77}))
            << "warps of " << warp << ", order " << order;
      }
    }
  }
}

// The first and the last token of the first turn are the best, and banned by threads between
// theirs.
TEST(GpuSample, BansBeforeItRanks) {
  sampling::Case c;
  c.logits.assign(512, 0.0f);
  c.logits[0] = c.logits[511] = 9;
  c.logits[200] = 5;
  c.params.temperature = 0;
  for (int32_t token = 300; token < 309; ++token) c.banned.push_back(token);
  c.banned[4] = 0;
  c.banned[5] = 511;
  for (const int warp : kWidths) {
    for (const std::string& order : lane_orders()) {
      DrawLists lists;
      lists.add(c, 0);
      TestChip chip = TestChip::emulated(warp, order);
      EXPECT_EQ(sample_on(chip, c.logits, 512, lists), (std::vector<int32_t>{200, 77}))
          << "warps of " << warp << ", order " << order;
    }
  }
}

}  // namespace
}  // namespace fathom::gpu::test
