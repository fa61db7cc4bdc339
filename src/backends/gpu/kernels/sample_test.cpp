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

}  // namespace
}  // namespace fathom::gpu::test
