// The prefix cache seen from outside: what is found, what is counted, and that it changes nothing.
#include <gtest/gtest.h>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

// A request that goes on from another's answer, as the next turn of a conversation does.
Request next_turn(const Request& request, const Answer& answer, uint64_t seed) {
  Request next = request;
  next.prompt.insert(next.prompt.end(), answer.tokens.begin(), answer.tokens.end());
  const auto question = some_tokens(5, seed);
  next.prompt.insert(next.prompt.end(), question.begin(), question.end());
  return next;
}

TEST(EnginePrefix, TheSameQuestionAgainFindsItsBlocks) {
  const auto engine = start(roomy_limits());
  const Request request = some_request(23, 10, 1);
  const Answer cold = ask(*engine, request);
  const Answer warm = ask(*engine, request);
  EXPECT_EQ(cold.usage.cached_tokens, 0);
  EXPECT_EQ(warm.usage.cached_tokens, 20);
  EXPECT_EQ(warm.tokens, cold.tokens);
  EXPECT_EQ(warm.tokens, expected_answer(request, 512).tokens);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.prefix_cache_queries, 46u);
  EXPECT_EQ(stats.prefix_cache_hits, 20u);
  EXPECT_EQ(stats.kv_blocks_used, 0);
}

TEST(EnginePrefix, OnlyTheRowsThatWereNotFoundRun) {
  std::vector<size_t> sizes;
  const auto engine = start(roomy_limits(), {}, [&](const models::StepBatch& batch) -> Status {
    sizes.push_back(batch.tokens.size());
    return {};
  });
  ask(*engine, some_request(23, 1, 1));
  ask(*engine, some_request(23, 1, 1));
  EXPECT_EQ(sizes, (std::vector<size_t>{23, 3}));
}

TEST(EnginePrefix, WhatIsInFlightIsShared) {
  const auto engine = start(roomy_limits());
  const Request request = some_request(16, 40, 1);
  Client first;
  Client second;
  bool asked = false;
  submit(*engine, request, first, [&](const Event& event) {
    if (event.finish || std::exchange(asked, true)) return;
    submit(*engine, request, second);
  });
  EXPECT_EQ(first.wait().tokens, second.wait().tokens);
  EXPECT_EQ(second.wait().usage.cached_tokens, 12);
}

TEST(EnginePrefix, ExactSharesWhatWasGivenAndLooseAlsoWhatWasGenerated) {
  for (const bool exact : {true, false}) {
    const auto engine = start(roomy_limits(), {.exact = exact});
    const Request request = some_request(16, 21, 1);
    const Answer answer = ask(*engine, request);
    const Request next = next_turn(request, answer, 2);
    const Answer second = ask(*engine, next);
    EXPECT_EQ(second.usage.cached_tokens, exact ? 16 : 36);  // the last token was never run
    if (exact) {
      EXPECT_EQ(second.tokens, expected_answer(next, 512).tokens);
    }
  }
}

TEST(EnginePrefix, AContinuationFindsWhatWasGeneratedEvenWhereExact) {
  const auto engine = start(roomy_limits(), {.exact = true});
  Request request = some_request(14, 30, 1);
  const Answer whole = ask(*engine, request);
  request.prompt.insert(request.prompt.end(), whole.tokens.begin(), whole.tokens.begin() + 20);
  request.generated_from = 14;
  request.sampling.max_tokens = 10;
  const Answer rest = ask(*engine, request);
  EXPECT_EQ(rest.usage.cached_tokens, 32);
  EXPECT_EQ(rest.tokens, std::vector<TokenId>(whole.tokens.begin() + 20, whole.tokens.end()));
}

TEST(EnginePrefix, TenantsDoNotShare) {
  const auto engine = start(roomy_limits());
  Request request = some_request(23, 4, 1);
  request.cache_salt = "one";
  ask(*engine, request);
  request.cache_salt = "two";
  EXPECT_EQ(ask(*engine, request).usage.cached_tokens, 0);
  request.cache_salt = "one";
  EXPECT_EQ(ask(*engine, request).usage.cached_tokens, 20);
}

TEST(EnginePrefix, PromptLogprobsAreComputedAnew) {
  const auto engine = start(roomy_limits());
  Request request = some_request(23, 4, 1);
  ask(*engine, request);
  request.sampling.prompt_logprobs = 1;
  const Answer scored = ask(*engine, request);
  EXPECT_EQ(scored.usage.cached_tokens, 0);
  EXPECT_EQ(scored.prompt_logprobs.size(), 22u);
}

TEST(EnginePrefix, WhatACancelledRequestReadIsFound) {
  const auto engine = start(roomy_limits());
  const Request request = some_request(23, 400, 1);
  Client client;
  Engine* const shared = engine.get();
  submit(*engine, request, client, [shared](const Event& event) {
    if (event.usage.completion_tokens == 2) shared->cancel(1);  // the first id
  });
  EXPECT_EQ(client.wait().finish, FinishReason::kCancelled);
  EXPECT_EQ(ask(*engine, some_request(23, 4, 1)).usage.cached_tokens, 20);
}

TEST(EnginePrefix, AFailedStepLeavesNothingToFind) {
  bool fail = true;
  const auto engine = start(roomy_limits(), {}, [&](const auto&) -> Status {
    if (std::exchange(fail, false)) return Error{ErrorCode::kInternal, "forward: no"};
    return {};
  });
  EXPECT_EQ(ask(*engine, some_request(23, 4, 1)).finish, FinishReason::kError);
  EXPECT_EQ(ask(*engine, some_request(23, 4, 1)).usage.cached_tokens, 0);
}

TEST(EnginePrefix, OffItNeitherFindsNorCounts) {
  const auto engine = start(roomy_limits(), {.prefix_cache = false});
  ask(*engine, some_request(23, 4, 1));
  EXPECT_EQ(ask(*engine, some_request(23, 4, 1)).usage.cached_tokens, 0);
  EXPECT_EQ(engine->stats().prefix_cache_queries, 0u);
}

}  // namespace
}  // namespace fathom::engine
