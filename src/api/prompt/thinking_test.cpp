// Whether the model thinks, and for how long.
#include <gtest/gtest.h>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

const Json kOn = {{"type", "enabled"}};

struct Asked {
  bool thinks;
  std::optional<int64_t> budget;
};

Asked asked(const Json& extra, bool thinks_by_default = false) {
  ApiOptions options = Harness::default_options();
  options.default_thinking = thinks_by_default;
  Harness harness(options);
  harness.chat(extra);
  EXPECT_EQ(harness.engine.requests.size(), 1u);
  const auto& request = harness.engine.requests.at(0).request;
  EXPECT_EQ(request.grammar, nullptr);
  Asked result{request.prompt.back() == kThinkId, {}};
  if (request.thought) {
    EXPECT_EQ(request.thought->end, kThinkEndId);
    result.budget = request.thought->budget;
  }
  return result;
}

TEST(Thinking, EffortSaysWhetherAndForHowLong) {
  const std::tuple<const char*, bool, std::optional<int64_t>> cases[] = {
      {"none", false, {}}, {"minimal", true, 256}, {"low", true, 1024}, {"medium", true, 8192},
      {"high", true, {}},  {"xhigh", true, {}},    {"max", true, {}}};
  for (const auto& [effort, thinks, budget] : cases) {
    const Asked got = asked({{"reasoning_effort", effort}}, !thinks);
    EXPECT_EQ(got.thinks, thinks) << effort;
    EXPECT_EQ(got.budget, budget) << effort;
  }
}

TEST(Thinking, ABudgetBoundsTheThought) {
  EXPECT_EQ(asked({{"thinking", {{"type", "enabled"}, {"budget_tokens", 7}}}}).budget, 7);
  EXPECT_EQ(asked({{"thinking", kOn}, {"thinking_token_budget", 0}}).budget, 0);
  EXPECT_EQ(asked({{"thinking_token_budget", 5}}, true).budget, 5);
  EXPECT_FALSE(asked({{"thinking", kOn}}).budget);
  // There is no thought to bound.
  EXPECT_FALSE(asked({{"thinking_token_budget", 5}}).budget);
}

TEST(Thinking, WhatIsSaidPlainlyStandsOverEffort) {
  EXPECT_FALSE(asked({{"thinking", {{"type", "disabled"}}}, {"reasoning_effort", "high"}}).thinks);
  EXPECT_TRUE(asked({{"thinking", kOn}, {"reasoning_effort", "none"}}).thinks);
  EXPECT_EQ(asked({{"thinking_token_budget", 3}, {"reasoning_effort", "low"}}).budget, 3);
}

TEST(Thinking, WhatIsNoEffortOrBudgetIsRefused) {
  const auto refuse = [](const Json& extra, const std::string& param) {
    Harness harness;
    EXPECT_EQ(expect_error(*harness.chat(extra), 400)["param"], param) << extra.dump();
  };
  refuse({{"reasoning_effort", "huge"}}, "reasoning_effort");
  refuse({{"reasoning_effort", 1}}, "reasoning_effort");
  refuse({{"thinking_token_budget", -1}}, "thinking_token_budget");
  refuse({{"thinking", {{"type", "enabled"}, {"budget_tokens", "7"}}}}, "thinking.budget_tokens");
}

TEST(Thinking, UsageTellsTheThoughtsTokens) {
  Harness harness;
  const auto writer = harness.chat({{"thinking", {{"type", "enabled"}, {"budget_tokens", 2}}}});
  harness.engine.text(0, "hm");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "yes");
  harness.engine.finish(0);
  const Json usage = writer->json()["usage"];
  EXPECT_EQ(usage["completion_tokens"], 6);
  EXPECT_EQ(usage["completion_tokens_details"]["reasoning_tokens"], 3);
}

}  // namespace
}  // namespace fathom::api
