// SAMPLE and TAKE_TOKENS on both chips of this folder: what is drawn is what the rule's oracle
// draws for the same Draw, and what is wrong with lists is noticed.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "backends/cpu/cpu_backend.h"
#include "backends/cpu/discrete/discrete_backend.h"
#include "backends/cpu/testing/chip.h"
#include "backends/cpu/testing/draw_lists.h"
#include "sampling/noise.h"
#include "sampling/testing/cases.h"

namespace fathom::cpu {
namespace {

using sampling::Case;
using sampling::Dice;
using test::Chip;
using test::Lists;
using test::matrix;

template <typename T>
const T* upload_any(Chip& chip, const std::vector<T>& values) {
  return values.empty() ? nullptr : chip.upload(values);
}

struct Sampled {
  fathom_status status = FATHOM_OK;
  std::vector<int32_t> tokens;
  std::string error;
};

// `room` more draws may come than there are.
Sampled sample(Chip& chip, const std::vector<float>& logits, int64_t vocab, Lists lists,
               int64_t room = 0) {
  const auto count = static_cast<int64_t>(lists.draws.size());
  const size_t words = static_cast<size_t>(vocab + 31) / 32;
  if (!lists.masks.empty()) lists.masks.resize(static_cast<size_t>(count + room) * words);
  fathom_sample_args args = {};
  args.size = sizeof(args);
  args.logits = matrix(chip.upload(logits), static_cast<int64_t>(logits.size()) / vocab, vocab);
  args.num_draws = chip.upload(std::vector<int32_t>{static_cast<int32_t>(count)});
  lists.draws.resize(static_cast<size_t>(count + room));
  args.draws = chip.upload(lists.draws);
  args.max_draws = count + room;
  args.masks = upload_any(chip, lists.masks);
  args.seen = upload_any(chip, lists.seen);
  args.biases = upload_any(chip, lists.biases);
  args.banned = upload_any(chip, lists.banned);
  auto* tokens = chip.upload(std::vector<int32_t>(static_cast<size_t>(args.max_draws), 77));
  args.tokens = tokens;
  chip.add_workspace(FATHOM_OP_SAMPLE, args);
  Sampled result;
  result.status = chip.run(FATHOM_OP_SAMPLE, &args);
  if (result.status == FATHOM_OK) result.status = chip.synchronize();
  result.error = chip.error();
  if (result.status == FATHOM_OK) {
    result.tokens = chip.download(tokens, static_cast<size_t>(args.max_draws));
  }
  return result;
}

class Sample : public ::testing::TestWithParam<fathom_backend_entry_fn> {};

TEST_P(Sample, DrawsWhatTheOracleDraws) {
  Dice dice(31);
  int undrawn = 0;
  for (int call = 0; call < 40; ++call) {
    const size_t vocab = 1 + dice.below(call < 30 ? 200 : 3000);
    Lists lists;
    std::vector<float> logits;
    std::vector<int32_t> expected;
    for (int32_t row = 0; row < 12; ++row) {
      Case c = random_case(dice, vocab);
      make_odd(c, dice);
      logits.insert(logits.end(), c.logits.begin(), c.logits.end());
      lists.add(c, row);
      expected.push_back(c.reference().value_or(-1));
      undrawn += expected.back() == -1 ? 1 : 0;
    }
    Chip chip(GetParam(), call % 2 == 0 ? "native" : "reference", 1 + call % 3);
    const Sampled got = sample(chip, logits, static_cast<int64_t>(vocab), lists);
    ASSERT_EQ(got.status, FATHOM_OK) << got.error;
    ASSERT_EQ(got.tokens, expected) << "call " << call;
  }
  EXPECT_GT(undrawn, 0);
}

TEST_P(Sample, LeavesWhatIsBeyondTheDrawsAlone) {
  Chip chip(GetParam());
  Case c;
  c.logits = {1, 3, 2};
  c.params.temperature = 0;
  Lists lists;
  lists.add(c, 0);
  const Sampled got = sample(chip, c.logits, 3, lists, 2);
  ASSERT_EQ(got.status, FATHOM_OK) << got.error;
  EXPECT_EQ(got.tokens, (std::vector<int32_t>{1, 77, 77}));
}

TEST_P(Sample, RefusesListsThatAreWrong) {
  const std::vector<float> logits = {1, 3, 2};
  const auto status = [&](const std::function<void(Lists&)>& spoil) {
    Chip chip(GetParam(), "reference", 1);
    Case c;
    c.logits = logits;
    c.tokens = {0, 1};
    c.params.repetition_penalty = 2;
    c.params.logit_bias = {{1, 1.0f}};
    c.banned = {2};
    Lists lists;
    lists.add(c, 0);
    spoil(lists);
    return sample(chip, logits, 3, lists).status;
  };
  EXPECT_EQ(status([](Lists&) {}), FATHOM_OK);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].logit_row = 1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].logit_row = -1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].mask = 0; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].mask = 1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].seen_begin = -1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.draws[0].seen_count = -1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.seen[1].token = 3; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.biases[0].token = -1; }), FATHOM_INVALID);
  EXPECT_EQ(status([](Lists& lists) { lists.banned[0] = 3; }), FATHOM_INVALID);
}

TEST_P(Sample, TakesTokensOfTheStepBefore) {
  Chip chip(GetParam());
  const auto take = [&](const std::vector<int32_t>& tokens, const std::vector<int32_t>& drawn) {
    int32_t* on_chip = chip.upload(tokens);
    const fathom_take_tokens_args args = {sizeof(args), on_chip,
                                          static_cast<int64_t>(tokens.size()), chip.upload(drawn),
                                          static_cast<int64_t>(drawn.size())};
    fathom_status status = chip.run(FATHOM_OP_TAKE_TOKENS, &args);
    if (status == FATHOM_OK) status = chip.synchronize();
    EXPECT_EQ(status == FATHOM_OK, std::ranges::min(tokens) > -5) << chip.error();
    return chip.download(on_chip, tokens.size());
  };
  EXPECT_EQ(take({5, -2, -1, -4, 0, -3}, {70, -1, 72}),
            (std::vector<int32_t>{5, 70, -1, 72, 0, -1}));
  take({-5}, {70, 71, 72});
}

// The lists' ends are known only when the work runs.
TEST(SampleOnDiscrete, NoticesListsThatEndTooEarly) {
  Chip chip(fathom_cpu_discrete_backend_entry, "reference", 1);
  Case c;
  c.logits = {1, 3, 2};
  c.tokens = {0, 1};
  c.params.repetition_penalty = 2;
  Lists lists;
  lists.add(c, 0);
  lists.draws[0].seen_count = 3;
  const Sampled got = sample(chip, c.logits, 3, lists);
  EXPECT_EQ(got.status, FATHOM_INVALID);
  EXPECT_NE(got.error.find("tokens seen of 24 bytes"), std::string::npos) << got.error;
}

std::string sampling_chip(const ::testing::TestParamInfo<fathom_backend_entry_fn>& info) {
  return std::string(info.param(FATHOM_ABI_VERSION)->name) == "cpu" ? "Cpu" : "CpuDiscrete";
}
INSTANTIATE_TEST_SUITE_P(Chips, Sample,
                         ::testing::Values(fathom_cpu_backend_entry,
                                           fathom_cpu_discrete_backend_entry),
                         sampling_chip);

}  // namespace
}  // namespace fathom::cpu
