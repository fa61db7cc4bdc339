// Two steps in flight: the answers of one at a time, and nothing of the rows that ran in vain. The
// rest of the engine's tests runs both ways, too (FATHOM_TEST_STEPS_IN_FLIGHT).
#include <gtest/gtest.h>

#include <atomic>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

std::unique_ptr<Engine> start_ahead(const models::RunLimits& limits = roomy_limits(),
                                    EngineOptions options = {}, FakeOptions model = {}) {
  model.steps_in_flight = 2;
  return start_over(std::move(model), limits, std::move(options));
}

// Whose blocks hold `tokens` rows, and no more.
models::RunLimits limits_of(int64_t tokens) {
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = tokens / limits.kv_block_size;
  return limits;
}

void expect_same_logprobs(const std::vector<TokenLogprob>& got,
                          const std::vector<TokenLogprob>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].token, expected[i].token);
    EXPECT_EQ(got[i].logprob, expected[i].logprob);
    EXPECT_EQ(got[i].top, expected[i].top);
  }
}

void expect_same_answer(const Answer& got, const Answer& expected) {
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.finish, expected.finish);
  EXPECT_EQ(got.stop_token, expected.stop_token);
  EXPECT_EQ(got.finishes, 1);
  EXPECT_EQ(got.usage.completion_tokens, expected.usage.completion_tokens);
  expect_same_logprobs(got.logprobs, expected.logprobs);
  expect_same_logprobs(got.prompt_logprobs, expected.prompt_logprobs);
}

std::vector<Request> requests_with_everything() {
  std::vector<Request> requests;
  for (uint64_t seed = 1; seed <= 24; ++seed) {
    Request request = some_request(static_cast<int64_t>(2 + seed), 30, seed);
    SamplingParams& params = request.sampling;
    if (seed % 3 == 0) params.temperature = 0.0f;
    if (seed % 4 == 1) params.frequency_penalty = 1.5f;
    if (seed % 4 == 2) params.repetition_penalty = 1.8f;
    if (seed % 4 == 3) params.presence_penalty = 1.5f;
    if (seed % 5 == 0) params.logit_bias = {{7, 3.0f}, {8, -100.0f}};
    if (seed % 5 == 1) params.top_p = 0.8f;
    if (seed % 5 == 2) params.min_tokens = 9;
    if (seed % 7 == 2) params.prompt_logprobs = 2;
    if (seed % 6 == 1) params.max_tokens = static_cast<int64_t>(seed % 4);
    if (seed % 2 == 0) params.logprobs = 2;
    requests.push_back(request);
  }
  return requests;
}

TEST(EngineAhead, AnswersAreThoseOfOneStepAtATime) {
  const std::vector<Request> requests = requests_with_everything();
  std::vector<Answer> answers[2];
  EngineStats stats[2];
  for (const int64_t steps : {1, 2}) {
    Gate gate;
    const auto engine = start_over({.before_step = behind(gate), .steps_in_flight = steps},
                                   roomy_limits(), {.eos_token_ids = {0, 1}, .prefill_chunk = 40});
    std::vector<Client> clients(requests.size());
    for (size_t i = 0; i < requests.size(); ++i) submit(*engine, requests[i], clients[i]);
    gate.open();
    for (Client& client : clients) answers[steps - 1].push_back(client.wait());
    stats[steps - 1] = engine->stats();
  }
  uint64_t completion_tokens = 0;
  for (size_t i = 0; i < requests.size(); ++i) {
    SCOPED_TRACE(i);
    expect_same_answer(answers[1][i], answers[0][i]);
    EXPECT_EQ(answers[1][i].tokens, expected_answer(requests[i], 512, {0, 1}).tokens);
    completion_tokens += static_cast<uint64_t>(answers[1][i].usage.completion_tokens);
  }
  EXPECT_EQ(stats[0].steps_ahead, 0u);
  EXPECT_EQ(stats[0].surplus_rows, 0u);
  EXPECT_GT(stats[1].steps_ahead, 20u);
  EXPECT_GT(stats[1].surplus_rows, 5u);
  for (const EngineStats& each : stats) EXPECT_EQ(each.generated_tokens, completion_tokens);
}

TEST(EngineAhead, NothingRunsBehindTheLastTokenOfAFullAnswer) {
  std::atomic<int64_t> rows = 0;
  const auto engine = start_ahead(roomy_limits(), {},
                                  {.before_step = [&](const models::StepBatch& batch) -> Status {
                                    rows += static_cast<int64_t>(batch.tokens.size());
                                    return {};
                                  }});
  Request request = some_request(6, 31, 1);
  EXPECT_EQ(ask(*engine, request).tokens, expected_answer(request, 512).tokens);
  request.sampling.max_tokens = 1;
  ask(*engine, request);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.steps, 32u);
  EXPECT_EQ(stats.steps_ahead, 30u);
  EXPECT_EQ(stats.surplus_rows, 0u);
  EXPECT_EQ(rows, 6 + 30 + 2);  // of the second prompt 4 rows were found
}

// Behind the answer a row runs with the stop token. Where that fills a block, the block is not
// found.
TEST(EngineAhead, ARowBehindAStopTokenIsNeitherSentNorCountedNorShared) {
  const std::vector<TokenId> stops = {3, 4, 5, 6, 7, 8, 9};
  int filled = 0;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const auto engine = start_ahead(roomy_limits(), {.eos_token_ids = stops});
    Request request = some_request(5, 40, seed);
    const Answer first = ask(*engine, request);
    ASSERT_EQ(first.finish, FinishReason::kStop);
    const auto sent = static_cast<int64_t>(first.tokens.size());
    EXPECT_EQ(first.usage.completion_tokens, sent + 1);
    EXPECT_EQ(first.tokens, expected_answer(request, 512, stops).tokens);
    request.prompt.insert(request.prompt.end(), first.tokens.begin(), first.tokens.end());
    request.prompt.insert(request.prompt.end(), {*first.stop_token, 1, 1});
    request.generated_from = 5;
    request.sampling.max_tokens = 1;
    EXPECT_EQ(ask(*engine, request).usage.cached_tokens, (5 + sent) / 4 * 4);
    filled += (5 + sent + 1) % 4 == 0 ? 1 : 0;
    const EngineStats stats = engine->stats();
    EXPECT_EQ(stats.generated_tokens, static_cast<uint64_t>(sent + 2));
    EXPECT_EQ(stats.steps, static_cast<uint64_t>(sent + 2));
    EXPECT_EQ(stats.surplus_rows, 1u);
  }
  EXPECT_GT(filled, 3);
}

// The second request has no blocks but the first one's, which a step in flight still touches when
// that has ended: the model reports it if they are given away before.
TEST(EngineAhead, BlocksOfWhoStopsInFlightAreFreeAStepLater) {
  const std::vector<TokenId> stops = {3, 4, 5, 6, 7, 8, 9};
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Gate gate;
    const auto engine =
        start_ahead(limits_of(48), {.eos_token_ids = stops}, {.before_step = behind(gate)});
    const Request first = some_request(30, 18, seed);
    const Request second = some_request(40, 8, seed + 100);
    Client clients[2];
    submit(*engine, first, clients[0]);
    submit(*engine, second, clients[1]);
    gate.open();
    EXPECT_EQ(clients[0].wait().tokens, expected_answer(first, 48, stops).tokens);
    EXPECT_EQ(clients[1].wait().tokens, expected_answer(second, 48, stops).tokens);
    EXPECT_EQ(engine->stats().preemptions, 0u);
  }
}

TEST(EngineAhead, BlocksOfWhoIsCancelledInFlightAreFreeAStepLater) {
  for (const int at : {2, 3, 5, 9}) {
    std::atomic<Engine*> ready = nullptr;
    std::atomic<int> steps = 0;
    Gate gate;
    const auto engine = start_ahead(limits_of(48), {}, {.before_step = [&](const auto&) -> Status {
                                      gate.pass();
                                      if (++steps == at) ready.load()->cancel(1);  // the first id
                                      return {};
                                    }});
    ready = engine.get();
    const Request first = some_request(30, 18, 1);
    const Request second = some_request(40, 8, 2);
    Client clients[2];
    submit(*engine, first, clients[0]);
    submit(*engine, second, clients[1]);
    gate.open();
    const Answer cancelled = clients[0].wait();
    EXPECT_EQ(cancelled.finish, FinishReason::kCancelled);
    EXPECT_EQ(cancelled.finishes, 1);
    EXPECT_EQ(static_cast<int>(cancelled.tokens.size()), at - 1);
    EXPECT_EQ(clients[1].wait().tokens, expected_answer(second, 48).tokens);
    const EngineStats stats = engine->stats();
    EXPECT_EQ(stats.generated_tokens, static_cast<uint64_t>(at - 1 + 8));
    EXPECT_EQ(stats.kv_blocks_used, 0);
  }
}

TEST(EngineAhead, WhoeverIsPreemptedIsInNoStepInFlight) {
  Gate gate;
  const auto engine = start_ahead(limits_of(96), {}, {.before_step = behind(gate)});
  std::vector<Client> clients(8);
  for (size_t i = 0; i < clients.size(); ++i) submit(*engine, some_request(12, 60, i), clients[i]);
  gate.open();
  for (size_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(clients[i].wait().tokens, expected_answer(some_request(12, 60, i), 96).tokens);
  }
  const EngineStats stats = engine->stats();
  EXPECT_GT(stats.preemptions, 3u);
  EXPECT_GT(stats.steps_ahead, 20u);
  EXPECT_EQ(stats.kv_blocks_used, 0);
}

// The second prompt is the first one, which is read 16 rows a step. When its own first step is
// decided two of them were begun, and one is done.
TEST(EngineAhead, BlocksAreFoundOnceTheirStepIsDone) {
  std::atomic<Engine*> ready = nullptr;
  std::atomic<int> steps = 0;
  Gate gate;
  Request second = some_request(100, 4, 1);
  second.priority = -1;
  Client clients[2];
  const auto engine =
      start_ahead(roomy_limits(), {.prefill_chunk = 8}, {.before_step = [&](const auto&) -> Status {
                    gate.pass();
                    if (++steps == 2) submit(*ready.load(), second, clients[1]);
                    return {};
                  }});
  ready = engine.get();
  submit(*engine, some_request(100, 4, 1), clients[0]);
  gate.open();
  EXPECT_EQ(clients[0].wait().tokens, clients[1].wait().tokens);
  EXPECT_EQ(clients[1].wait().usage.cached_tokens, 16);
}

// Of the model's calls one fails. Who was in the older step only fails, too. The first step holds
// the engine up until all others are there: they begin together in the second one.
TEST(EngineAhead, AFailureOfAnyCallFailsBothStepsOnce) {
  for (const int call : {0, 1, 2}) {
    for (const int at : {2, 3, 4, 5}) {
      SCOPED_TRACE(std::to_string(call) + " of step " + std::to_string(at));
      std::atomic<int> count[3] = {0, 0, 0};
      Gate gate;
      const auto fails = [&count, call, at](int which) -> Status {
        if (++count[which] == at && which == call) return Error{ErrorCode::kInternal, "on fire"};
        return {};
      };
      const auto engine = start_ahead(roomy_limits(), {},
                                      {.before_step =
                                           [&](const auto&) {
                                             gate.pass();
                                             return fails(0);
                                           },
                                       .before_draws = [&] { return fails(1); },
                                       .before_finish = [&] { return fails(2); }});
      Client before;
      submit(*engine, some_request(3, 1, 8), before);
      gate.wait_for_arrival();
      std::vector<Client> clients(4);
      for (size_t i = 0; i < clients.size(); ++i) {
        submit(*engine, some_request(3, i == 0 ? 3 : 300, i + 1), clients[i]);
      }
      gate.open();
      EXPECT_EQ(before.wait().finish, FinishReason::kLength);
      for (size_t i = 0; i < clients.size(); ++i) {
        const Answer answer = clients[i].wait();
        EXPECT_EQ(answer.finishes, 1);
        if (i == 0 && answer.finish == FinishReason::kLength) continue;  // it had all by then
        EXPECT_EQ(answer.finish, FinishReason::kError);
        EXPECT_EQ(answer.error->message, "on fire");
      }
      Client next;
      submit(*engine, some_request(3, 5, 9), next);
      EXPECT_EQ(next.wait().tokens, expected_answer(some_request(3, 5, 9), 512).tokens);
      const EngineStats stats = engine->stats();
      EXPECT_EQ(stats.failed + stats.finished_length, 6u);
      EXPECT_EQ(stats.kv_blocks_used, 0);
    }
  }
}

// Behind a step that holds the engine up until both are there, the first prompt has a step, and the
// second one the next, which is begun while that one, which fails, is in flight.
TEST(EngineAhead, AFailureFailsWhoIsInTheNewerStepAlone) {
  Gate gate;
  const auto engine = start_ahead(roomy_limits(), {.prefill_chunk = 4},
                                  {.before_step = behind(gate), .before_finish = [] {
                                     return Status(Error{ErrorCode::kInternal, "on fire"});
                                   }});
  Client before;
  submit(*engine, some_request(3, 1, 8), before);
  gate.wait_for_arrival();
  Client clients[2];
  for (uint64_t i = 0; i < 2; ++i) submit(*engine, some_request(8, 10, i + 1), clients[i]);
  gate.open();
  for (const Client& client : clients) EXPECT_EQ(client.wait().finish, FinishReason::kError);
  EXPECT_EQ(before.wait().finish, FinishReason::kError);
  const EngineStats stats = engine->stats();
  EXPECT_EQ(stats.failed, 3u);
  EXPECT_EQ(stats.steps_ahead, 1u);
  EXPECT_EQ(stats.kv_blocks_used, 0);
}

// What runs for nobody is finished without a further request.
TEST(EngineAhead, AStepForNobodyIsFinishedAtOnce) {
  std::mutex mutex;
  std::condition_variable changed;
  int begun = 0;
  int finished = 0;
  const auto count = [&](int& which) {
    const std::lock_guard lock(mutex);
    ++which;
    changed.notify_all();
    return Status();
  };
  const auto engine = start_ahead(roomy_limits(), {.eos_token_ids = {3, 4, 5, 6, 7, 8, 9}},
                                  {.before_step = [&](const auto&) { return count(begun); },
                                   .before_finish = [&] { return count(finished); }});
  ASSERT_EQ(ask(*engine, some_request(4, 200, 1)).finish, FinishReason::kStop);
  EXPECT_TRUE(engine->idle());
  std::unique_lock lock(mutex);
  changed.wait(lock, [&] { return finished == begun; });
}

TEST(EngineAhead, NoStepBeginsAheadOfDrafts) {
  const auto engine =
      start_ahead(roomy_limits(), {.speculate = 2, .speculate_always = true}, {.right_drafts = 70});
  const Request request = some_request(6, 40, 1);
  EXPECT_EQ(ask(*engine, request).tokens, expected_answer(request, 512).tokens);
  EXPECT_EQ(engine->stats().steps_ahead, 0u);
}

}  // namespace
}  // namespace fathom::engine
