// Speculation changes no token, whatever the drafts are worth; only the number of steps.
#include <gtest/gtest.h>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

std::unique_ptr<Engine> start_drafting(int64_t drafts, uint64_t right_drafts,
                                       const models::RunLimits& limits = roomy_limits()) {
  return start(limits,
               {.eos_token_ids = {0}, .exact = true, .speculate = drafts, .speculate_always = true},
               {}, right_drafts);
}

// Requests that use all that the sampler knows.
std::vector<Request> requests_of_all_kinds() {
  std::vector<Request> requests;
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    Request request = some_request(static_cast<int64_t>(3 + seed), 40, seed);
    SamplingParams& params = request.sampling;
    if (seed % 3 == 0) params.temperature = 0.0f;
    if (seed % 4 == 1) params.frequency_penalty = 0.7f;
    if (seed % 4 == 2) params.repetition_penalty = 1.3f;
    if (seed % 4 == 3) params.presence_penalty = 0.5f;
    if (seed % 5 == 0) params.logit_bias = {{7, 3.0f}, {8, -100.0f}};
    if (seed % 5 == 1) params.top_p = 0.8f;
    if (seed % 5 == 2) params.stop_token_ids = {1, 2, 3, 4};
    if (seed % 5 == 2) params.min_tokens = 9;
    if (seed % 6 == 0) params.ignore_eos = true;
    if (seed % 6 == 1) params.max_tokens = static_cast<int64_t>(seed % 4);
    if (seed % 2 == 0) params.logprobs = 2;
    requests.push_back(request);
  }
  return requests;
}

TEST(EngineSpeculation, TokensAreTheSameAloneAndTogether) {
  for (const int64_t drafts : {1, 2, 5}) {
    for (const uint64_t right : {0, 50, 100}) {
      SCOPED_TRACE(std::to_string(drafts) + " drafts, " + std::to_string(right) + "% right");
      const auto engine = start_drafting(drafts, right);
      const std::vector<Request> requests = requests_of_all_kinds();
      std::vector<Client> clients(requests.size());
      for (size_t i = 0; i < requests.size(); ++i) submit(*engine, requests[i], clients[i]);
      for (size_t i = 0; i < requests.size(); ++i) {
        const Answer expected = expected_answer(requests[i], 512, {0});
        for (const Answer& got : {clients[i].wait(), ask(*engine, requests[i])}) {
          EXPECT_EQ(got.tokens, expected.tokens);
          EXPECT_EQ(got.finish, expected.finish);
          EXPECT_EQ(got.stop_token, expected.stop_token);
          EXPECT_EQ(got.usage.completion_tokens,
                    static_cast<int64_t>(expected.tokens.size()) + (expected.stop_token ? 1 : 0));
          if (requests[i].sampling.logprobs) {
            EXPECT_EQ(got.logprobs.size(), got.tokens.size());
          }
        }
      }
      EXPECT_EQ(engine->stats().kv_blocks_used, 0);
    }
  }
}

TEST(EngineSpeculation, RightDraftsSaveSteps) {
  Request request = some_request(6, 31, 1);
  request.sampling.ignore_eos = true;
  models::RunLimits limits = roomy_limits();
  limits.kv_block_size = 64;  // nothing is drafted beyond the block table
  for (const int64_t drafts : {0, 1, 2}) {
    const auto engine = start_drafting(drafts, 100, limits);
    EXPECT_EQ(ask(*engine, request).tokens, expected_answer(request, 512).tokens);
    const EngineStats stats = engine->stats();
    // The prompt's step gives one token, the others give 30.
    EXPECT_EQ(stats.steps, static_cast<uint64_t>(1 + 30 / (1 + drafts)));
    EXPECT_EQ(stats.accepted_draft_tokens, static_cast<uint64_t>(30 - 30 / (1 + drafts)));
    EXPECT_EQ(stats.draft_tokens, stats.accepted_draft_tokens);
    EXPECT_EQ(stats.drafts, drafts == 0 ? 0 : stats.steps - 1);
    EXPECT_EQ(stats.generated_tokens, 31u);
  }
}

TEST(EngineSpeculation, WrongDraftsCostNoTokens) {
  Request request = some_request(6, 31, 1);
  request.sampling.ignore_eos = true;
  const auto engine = start_drafting(1, 0);
  EXPECT_EQ(ask(*engine, request).tokens, expected_answer(request, 512).tokens);
  const EngineStats stats = engine->stats();
  EXPECT_GE(stats.drafts, 25u);
  EXPECT_LE(stats.accepted_draft_tokens, 4u);  // one in 48 by chance
}

TEST(EngineSpeculation, AModelWithoutALayerForItDraftsNothing) {
  const auto engine = start(roomy_limits(), {.speculate = 2, .speculate_always = true});
  const Request request = some_request(6, 20, 1);
  EXPECT_EQ(ask(*engine, request).tokens, expected_answer(request, 512).tokens);
  EXPECT_EQ(engine->stats().drafts, 0u);
}

TEST(EngineSpeculation, EndsAtTheContextAndAtWhatTheCacheHolds) {
  models::RunLimits limits = roomy_limits();
  limits.max_context = 18;
  limits.num_kv_blocks = 5;
  Request request = some_request(7, 1000, 1);
  request.sampling.ignore_eos = true;
  const auto engine = start_drafting(3, 100, limits);
  const Answer answer = ask(*engine, request);
  EXPECT_EQ(answer.tokens, expected_answer(request, 18).tokens);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
}

// What a rejected draft wrote must never be found: the next turn reads the first one's blocks.
TEST(EngineSpeculation, RejectedRowsAreNotShared) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const auto engine = start_drafting(3, 40);
    Request request = some_request(5, 40, seed);
    request.sampling.ignore_eos = true;
    const Answer first = ask(*engine, request);
    request.prompt.insert(request.prompt.end(), first.tokens.begin(), first.tokens.end());
    request.generated_from = 5;
    const Answer second = ask(*engine, request);
    EXPECT_EQ(second.usage.cached_tokens, 44);
    EXPECT_EQ(second.tokens, expected_answer(request, 512).tokens);
  }
}

TEST(EngineSpeculation, RefusesANegativeNumberOfDrafts) {
  const auto made =
      make_engine(std::make_unique<FakeModel>(kVocab, roomy_limits()), {.speculate = -1});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.error().where, "speculate");
}

}  // namespace
}  // namespace fathom::engine
