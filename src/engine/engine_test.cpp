#include "engine/engine.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <limits>
#include <thread>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

void expect_same(const Answer& got, const Answer& expected) {
  EXPECT_EQ(got.tokens, expected.tokens);
  EXPECT_EQ(got.finish, expected.finish);
  EXPECT_EQ(got.stop_token, expected.stop_token);
  EXPECT_EQ(got.finishes, 1);
}

Answer run_alone(const Request& request, const models::RunLimits& limits = roomy_limits(),
                 EngineOptions options = {}) {
  const auto engine = start(limits, std::move(options));
  Client client;
  submit(*engine, request, client);
  return client.wait();
}

TEST(Engine, AnswersAsTheModelDoes) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    Request request = some_request(static_cast<int64_t>(seed), 12, seed);
    if (seed % 3 == 0) request.sampling.temperature = 0.0f;
    expect_same(run_alone(request), expected_answer(request, 512));
  }
}

TEST(Engine, ReportsUsageAndQueueTimeOnce) {
  const Answer answer = run_alone(some_request(5, 7, 1));
  EXPECT_EQ(answer.usage.prompt_tokens, 5);
  EXPECT_EQ(answer.usage.completion_tokens, 7);
  EXPECT_EQ(answer.usage.cached_tokens, 0);
  EXPECT_EQ(answer.queue_times, 1);
}

TEST(Engine, StopsAtStopTokensButNotBeforeMinTokens) {
  const std::vector<TokenId> eos = {3, 4, 5, 6, 7, 8, 9};
  int stops = 0;
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Request request = some_request(4, 20, seed);
    request.sampling.stop_token_ids = {20, 21};
    request.sampling.min_tokens = static_cast<int64_t>(seed % 7);
    request.sampling.ignore_eos = seed % 3 == 0;
    const Answer expected = expected_answer(request, 512, eos);
    const Answer got = run_alone(request, roomy_limits(), {.eos_token_ids = eos});
    expect_same(got, expected);
    const auto sent = static_cast<int64_t>(got.tokens.size());
    EXPECT_GE(sent, request.sampling.min_tokens);
    const bool stopped = got.finish == FinishReason::kStop;
    EXPECT_EQ(got.usage.completion_tokens, sent + (stopped ? 1 : 0));
    stops += stopped ? 1 : 0;
  }
  EXPECT_GT(stops, 10);
}

TEST(Engine, EndsAtTheContextAndAtWhatTheCacheHolds) {
  models::RunLimits limits = roomy_limits();
  limits.max_context = 16;
  const Request request = some_request(10, 1000, 1);
  Answer answer = run_alone(request, limits);
  EXPECT_EQ(answer.tokens.size(), 6u);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  limits = roomy_limits();
  limits.num_kv_blocks = 3;
  answer = run_alone(request, limits);
  EXPECT_EQ(answer.tokens.size(), 2u);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  answer = run_alone(some_request(12, 1000, 1), limits);
  EXPECT_TRUE(answer.tokens.empty());
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(start(limits)->max_context(), 12);
}

// Log-probabilities of `tokens` from index `begin` on, from the fake model's logits alone.
void expect_logprobs(const std::vector<TokenLogprob>& got, const std::vector<TokenId>& tokens,
                     int64_t begin, int64_t given, size_t top) {
  ASSERT_EQ(static_cast<int64_t>(got.size()), static_cast<int64_t>(tokens.size()) - begin);
  for (size_t i = 0; i < got.size(); ++i) {
    const auto at = static_cast<size_t>(begin) + i;
    const auto row = fake_logits(std::span(tokens).first(at), given, kVocab);
    double sum = 0.0;
    for (const float logit : row) sum += std::exp(double{logit});
    EXPECT_EQ(got[i].token, tokens[at]);
    EXPECT_NEAR(got[i].logprob, row[static_cast<size_t>(tokens[at])] - std::log(sum), 1e-5);
    ASSERT_EQ(got[i].top.size(), top);
    if (top == 0) continue;
    const float best = *std::max_element(row.begin(), row.end());
    EXPECT_NEAR(got[i].top[0].second, best - std::log(sum), 1e-5);
  }
}

TEST(Engine, LogprobsAreTheModelsOwn) {
  Request request = some_request(6, 10, 3);
  request.sampling.logprobs = 4;
  request.sampling.temperature = 0.3f;
  request.sampling.presence_penalty = 1.5f;
  request.sampling.logit_bias = {{7, 5.0f}};
  const Answer answer = run_alone(request);
  std::vector<TokenId> tokens = request.prompt;
  tokens.insert(tokens.end(), answer.tokens.begin(), answer.tokens.end());
  expect_logprobs(answer.logprobs, tokens, 6, 6, 4);
}

TEST(Engine, PromptLogprobsComeInOrderAcrossChunks) {
  for (const int64_t logit_rows : {1, 2, 5, 256}) {
    for (const int64_t chunk : {1, 3, 8, 512}) {
      Request request = some_request(23, 3, 5);
      request.sampling.prompt_logprobs = 2;
      models::RunLimits limits = roomy_limits();
      limits.max_logit_rows = logit_rows;
      const Answer answer = run_alone(request, limits, {.prefill_chunk = chunk});
      expect_logprobs(answer.prompt_logprobs, request.prompt, 1, 23, 2);
      EXPECT_TRUE(answer.prompt_first);
      expect_same(answer, expected_answer(request, 512));
    }
  }
}

TEST(Engine, MaxTokensZeroOnlyScoresThePrompt) {
  Request request = some_request(9, 0, 5);
  Answer answer = run_alone(request);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_TRUE(answer.tokens.empty());
  request.sampling.prompt_logprobs = 0;
  answer = run_alone(request);
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_TRUE(answer.tokens.empty());
  EXPECT_EQ(answer.usage.completion_tokens, 0);
  expect_logprobs(answer.prompt_logprobs, request.prompt, 1, 9, 0);
}

TEST(Engine, AContinuationGoesOnAsIfUninterrupted) {
  Request request = some_request(7, 24, 11);
  request.sampling.frequency_penalty = 0.7f;
  request.sampling.repetition_penalty = 1.2f;
  request.sampling.logprobs = 1;
  const Answer whole = run_alone(request);
  ASSERT_EQ(whole.tokens.size(), 24u);
  for (const size_t cut : {0, 1, 2, 9, 23}) {
    for (const int64_t chunk : {2, 5, 512}) {
      Request rest = request;
      const auto middle = whole.tokens.begin() + static_cast<ptrdiff_t>(cut);
      rest.prompt.insert(rest.prompt.end(), whole.tokens.begin(), middle);
      rest.generated_from = 7;
      rest.sampling.max_tokens = 24 - static_cast<int64_t>(cut);
      const Answer answer = run_alone(rest, roomy_limits(), {.prefill_chunk = chunk});
      EXPECT_EQ(answer.tokens, std::vector<TokenId>(middle, whole.tokens.end()));
      EXPECT_EQ(answer.logprobs.back().logprob, whole.logprobs.back().logprob);
    }
  }
}

TEST(Engine, RequestsWithoutASeedDiffer) {
  const auto engine = start(roomy_limits());
  Request request = some_request(4, 20, 1);
  request.sampling.seed.reset();
  Client first;
  Client second;
  submit(*engine, request, first);
  submit(*engine, request, second);
  EXPECT_NE(first.wait().tokens, second.wait().tokens);
}

TEST(Engine, ServesSixtyFourStreamsInTurns) {
  Gate gate;
  const auto engine = start(roomy_limits(), {.prefill_chunk = 512}, [&](const auto&) -> Status {
    gate.pass();
    return {};
  });
  Client plug;
  submit(*engine, some_request(1, 1, 1), plug);
  gate.wait_for_arrival();  // the others arrive while this step runs
  std::vector<Client> clients(64);
  std::vector<size_t> order;  // who got a token; the engine's thread alone writes it
  for (size_t i = 0; i < clients.size(); ++i) {
    submit(*engine, some_request(4, 10, i + 1), clients[i],
           [&order, i](const Event&) { order.push_back(i); });
  }
  gate.open();
  for (const Client& client : clients) EXPECT_EQ(client.wait().tokens.size(), 10u);
  ASSERT_EQ(order.size(), 640u);
  for (size_t i = 0; i < order.size(); ++i) EXPECT_EQ(order[i], i % 64);
}

TEST(Engine, ARequestWhosePartsHaveNoRoomTogetherBeginsNone) {
  Gate gate;
  const auto engine =
      start(roomy_limits(), {.max_running = 1, .max_waiting = 4}, [&](const auto&) -> Status {
        gate.pass();
        return {};
      });
  Client running;
  submit(*engine, some_request(3, 2, 1), running);
  gate.wait_for_arrival();
  Client refused;
  Request many = some_request(3, 2, 2);
  many.parts = 3;  // of the 4 places it would leave fewer than it takes
  const auto full = try_submit(*engine, many, refused.listener());
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kResourceExhausted);
  EXPECT_EQ(engine->stats().waiting, 0);
  many.parts = 2;
  Client first;
  submit(*engine, many, first);
  gate.open();
  EXPECT_EQ(first.wait().tokens.size(), 2u);
}

TEST(Engine, RefusesWhatDoesNotFitTheQueueAndDrains) {
  Gate gate;
  const auto engine =
      start(roomy_limits(), {.max_running = 1, .max_waiting = 2}, [&](const auto&) -> Status {
        gate.pass();
        return {};
      });
  std::vector<Client> clients(3);
  submit(*engine, some_request(3, 2, 1), clients[0]);
  gate.wait_for_arrival();
  submit(*engine, some_request(3, 2, 2), clients[1]);
  submit(*engine, some_request(3, 2, 3), clients[2]);
  EXPECT_EQ(engine->stats().running, 1);
  EXPECT_EQ(engine->stats().waiting, 2);

  Client refused;
  auto full = try_submit(*engine, some_request(3, 2, 4), refused.listener());
  ASSERT_FALSE(full.ok());
  EXPECT_EQ(full.error().code, ErrorCode::kResourceExhausted);

  EXPECT_FALSE(engine->idle());
  engine->drain();
  auto late = try_submit(*engine, some_request(3, 2, 4), refused.listener());
  ASSERT_FALSE(late.ok());
  EXPECT_EQ(late.error().code, ErrorCode::kUnavailable);
  gate.open();
  for (const Client& client : clients) EXPECT_EQ(client.wait().tokens.size(), 2u);
  EXPECT_TRUE(engine->idle());
  EXPECT_EQ(refused.so_far().finishes, 0);
  EXPECT_FALSE(refused.listening());
}

TEST(Engine, RefusesBadRequestsBeforeTheQueue) {
  const auto engine = start(roomy_limits());
  Client client;
  Request request = some_request(3, 2, 1);
  request.prompt[1] = kVocab;
  auto refused = try_submit(*engine, request, client.listener());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().code, ErrorCode::kInvalidArgument);
  EXPECT_TRUE(engine->idle());
}

// The sizes of the steps that ran after a cancellation made during step `at`.
struct CancelledRun {
  Answer answer;
  int steps = 0;
};

CancelledRun cancel_during(int at, const Request& request, int64_t prefill_chunk) {
  std::atomic<Engine*> engine_ready = nullptr;
  std::atomic<RequestId> target = 0;
  std::atomic<int> steps = 0;
  Gate gate;  // the first step waits until `engine_ready` and `target` are set
  auto engine = start(roomy_limits(), {.prefill_chunk = prefill_chunk}, [&](const auto&) -> Status {
    gate.pass();
    if (++steps == at) engine_ready.load()->cancel(target);
    return {};
  });
  engine_ready = engine.get();
  Client client;
  target = submit(*engine, request, client);
  gate.open();
  CancelledRun run{client.wait(), 0};
  engine.reset();
  run.steps = steps;
  return run;
}

TEST(Engine, CancelsBeforeAnotherStepBegins) {
  const CancelledRun decoding = cancel_during(4, some_request(5, 100, 1), 512);
  EXPECT_EQ(decoding.answer.finish, FinishReason::kCancelled);
  EXPECT_EQ(decoding.steps, 4);
  // With two steps in flight the fourth began before the third one's token was known.
  EXPECT_EQ(decoding.answer.tokens.size(), steps_in_flight() == 1 ? 4u : 3u);
  const CancelledRun reading = cancel_during(2, some_request(50, 100, 1), 10);
  EXPECT_EQ(reading.answer.finish, FinishReason::kCancelled);
  EXPECT_EQ(reading.steps, 2);
  EXPECT_TRUE(reading.answer.tokens.empty());
}

TEST(Engine, CancelsWhatWaitsAndIgnoresStrangers) {
  Gate gate;
  const auto engine = start(roomy_limits(), {.max_running = 1}, [&](const auto&) -> Status {
    gate.pass();
    return {};
  });
  Client running;
  Client waiting;
  const RequestId first = submit(*engine, some_request(3, 4, 1), running);
  gate.wait_for_arrival();
  const RequestId second = submit(*engine, some_request(3, 4, 2), waiting);
  engine->cancel(second);
  engine->cancel(second);
  engine->cancel(12345);
  gate.open();
  const Answer cancelled = waiting.wait();
  EXPECT_EQ(cancelled.finish, FinishReason::kCancelled);
  EXPECT_TRUE(cancelled.tokens.empty());
  EXPECT_EQ(cancelled.queue_times, 0);
  expect_same(running.wait(), expected_answer(some_request(3, 4, 1), 512));
  engine->cancel(first);
  EXPECT_EQ(engine->stats().cancelled, 1u);
  EXPECT_EQ(engine->stats().finished_length, 1u);
}

TEST(Engine, CancelsAllAtOnceAndGoesOn) {
  Gate gate;
  const auto engine = start(roomy_limits(), {.max_running = 1}, behind(gate));
  Client running;
  Client waiting;
  submit(*engine, some_request(3, 100, 1), running);
  gate.wait_for_arrival();
  submit(*engine, some_request(3, 4, 2), waiting);
  engine->cancel_all();
  engine->cancel_all();
  gate.open();
  EXPECT_EQ(running.wait().finish, FinishReason::kCancelled);
  EXPECT_EQ(waiting.wait().finish, FinishReason::kCancelled);
  Client next;
  submit(*engine, some_request(3, 4, 3), next);
  expect_same(next.wait(), expected_answer(some_request(3, 4, 3), 512));
  EXPECT_EQ(engine->stats().cancelled, 2u);
}

// The engine's thread serves the others.
TEST(Engine, AListenerWithoutMemoryFailsOnlyItsRequest) {
  Gate gate;
  const auto engine = start(roomy_limits(), {}, behind(gate));
  Client poor;
  Client poorest;
  Client other;
  submit(*engine, some_request(3, 50, 1), poor, [events = 0](const Event&) mutable {
    if (++events == 2) throw std::bad_alloc();
  });
  submit(*engine, some_request(3, 50, 2), poorest, [](const Event&) { throw std::bad_alloc(); });
  submit(*engine, some_request(3, 20, 3), other);
  gate.open();
  expect_same(other.wait(), expected_answer(some_request(3, 20, 3), 512));
  const Answer failed = poor.wait();
  EXPECT_EQ(failed.finish, FinishReason::kError);
  EXPECT_EQ(failed.error->code, ErrorCode::kUnavailable);
  EXPECT_EQ(failed.error->message, "out of memory");
  EXPECT_EQ(failed.tokens.size(), 1u);
  EXPECT_EQ(engine->stats().failed, 2u);
  EXPECT_TRUE(engine->idle());
}

TEST(Engine, AListenerMayCancelAndSubmit) {
  const auto engine = start(roomy_limits());
  Client first;
  Client second;
  Engine* const shared = engine.get();
  submit(*engine, some_request(3, 50, 1), first, [shared, second](const Event& event) mutable {
    if (event.finish) submit(*shared, some_request(3, 5, 2), second);
    // Ids count from 1 and this is the first request of this engine.
    if (event.usage.completion_tokens == 10) shared->cancel(1);
  });
  const Answer cancelled = first.wait();
  EXPECT_EQ(cancelled.finish, FinishReason::kCancelled);
  EXPECT_EQ(cancelled.tokens.size(), 10u);
  expect_same(second.wait(), expected_answer(some_request(3, 5, 2), 512));
}

TEST(Engine, ItsEndCancelsAllAndLetsGoOfListeners) {
  Gate gate;
  models::RunLimits limits = roomy_limits();
  limits.max_context = 1 << 20;  // no answer ends by itself before the engine does
  limits.num_kv_blocks = 1 << 20;
  auto engine = start(limits, {.max_running = 2}, [&](const auto&) -> Status {
    gate.pass();
    return {};
  });
  std::vector<Client> clients(5);
  for (size_t i = 0; i < 5; ++i) submit(*engine, some_request(3, 1'000'000, i + 1), clients[i]);
  gate.wait_for_arrival();
  std::thread opener([&] { gate.open(); });
  engine.reset();
  opener.join();
  for (const Client& client : clients) {
    const Answer answer = client.so_far();
    EXPECT_EQ(answer.finishes, 1);
    EXPECT_EQ(answer.finish, FinishReason::kCancelled);
    EXPECT_FALSE(client.listening());
  }
}

TEST(Engine, AFailedStepFailsItsRequestsAndTheNextOneWorks) {
  std::atomic<int> steps = 0;
  Gate gate;
  const auto engine = start(roomy_limits(), {}, [&](const auto&) -> Status {
    gate.pass();
    if (++steps == 3) return Error{ErrorCode::kInternal, "forward: the chip is on fire"};
    return {};
  });
  std::vector<Client> clients(3);
  for (size_t i = 0; i < 3; ++i) submit(*engine, some_request(3, 300, i + 1), clients[i]);
  gate.open();
  for (const Client& client : clients) {
    const Answer answer = client.wait();
    EXPECT_EQ(answer.finish, FinishReason::kError);
    EXPECT_EQ(answer.error->message, "forward: the chip is on fire");
    EXPECT_EQ(answer.finishes, 1);
  }
  Client next;
  submit(*engine, some_request(3, 5, 9), next);
  expect_same(next.wait(), expected_answer(some_request(3, 5, 9), 512));
  EXPECT_EQ(engine->stats().failed, 3u);
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

TEST(Engine, LogitsThatAreNotFiniteFailOnlyTheirRequest) {
  const auto engine =
      start_over({.steps_in_flight = steps_in_flight(), .spoilt_behind = 1}, roomy_limits());
  Request spoilt = some_request(3, 20, 1);
  spoilt.prompt = {2, 3, 1};
  Request spoilt_inside = some_request(3, 20, 1);
  spoilt_inside.prompt = {2, 1, 3, 4};
  spoilt_inside.sampling.prompt_logprobs = 1;
  Request sound = some_request(3, 20, 1);
  sound.sampling.logit_bias = {{1, -100.0f}};
  sound.prompt = {2, 2, 2};
  Client clients[3];
  submit(*engine, spoilt, clients[0]);
  submit(*engine, spoilt_inside, clients[1]);
  submit(*engine, sound, clients[2]);
  for (const Client& client : {clients[0], clients[1]}) {
    const Answer answer = client.wait();
    EXPECT_EQ(answer.finish, FinishReason::kError);
    EXPECT_EQ(answer.error->message, "sample: logits are not finite");
    EXPECT_TRUE(answer.prompt_logprobs.empty());
  }
  expect_same(clients[2].wait(), expected_answer(sound, 512));
}

TEST(Engine, RefusesOptionsThatLeaveNoRoom) {
  const auto make = [](const models::RunLimits& limits, EngineOptions options) {
    return make_engine(std::make_unique<FakeModel>(kVocab, limits), std::move(options));
  };
  models::RunLimits limits = roomy_limits();
  limits.num_kv_blocks = 0;
  EXPECT_EQ(make(limits, {}).error().where, "num_kv_blocks");
  EXPECT_EQ(make(roomy_limits(), {.max_running = 0}).error().where, "max_running");
  EXPECT_EQ(make(roomy_limits(), {.prefill_chunk = -1}).error().where, "prefill_chunk");
  EXPECT_EQ(make(roomy_limits(), {.eos_token_ids = {kVocab}}).error().where, "eos_token_ids");
}

}  // namespace
}  // namespace fathom::engine
