// Over several data-parallel replicas, each with its own cache: placement, shared prefixes,
// preemption.
#include <gtest/gtest.h>

#include <set>

#include "engine/testing/harness.h"

namespace fathom::engine {
namespace {

models::RunLimits two_replicas() {
  models::RunLimits limits = roomy_limits();
  limits.data_indices = 2;
  return limits;
}

TEST(EngineReplicas, AnswersAreThoseOfOneReplica) {
  for (const bool drafts : {false, true}) {
    const auto engine = start(two_replicas(), {.speculate = 2, .speculate_always = true}, {},
                              drafts ? std::optional<uint64_t>(60) : std::nullopt);
    std::vector<Client> clients(24);
    std::vector<Request> requests;
    for (size_t i = 0; i < clients.size(); ++i) {
      requests.push_back(some_request(5 + static_cast<int64_t>(i * 7 % 60), 20, i));
      submit(*engine, requests.back(), clients[i]);
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      const Answer expected = expected_answer(requests[i], roomy_limits().max_context);
      EXPECT_EQ(clients[i].wait().tokens, expected.tokens) << i;
    }
  }
}

TEST(EngineReplicas, BothAreUsedAtOnce) {
  std::set<size_t> busy;  // data-parallel replicas with rows in a step, all steps together
  size_t most = 0;        // in one
  Gate gate;
  const auto engine = start(two_replicas(), {}, [&](const models::StepBatch& batch) -> Status {
    gate.pass();
    size_t now = 0;
    for (size_t data = 0; data < batch.data_rows.size(); ++data) {
      if (batch.data_rows[data] == 0) continue;
      busy.insert(data);
      ++now;
    }
    most = std::max(most, now);
    return {};
  });
  std::vector<Client> clients(8);
  for (size_t i = 0; i < clients.size(); ++i) submit(*engine, some_request(40, 40, i), clients[i]);
  gate.open();
  for (Client& client : clients) client.wait();
  EXPECT_EQ(busy.size(), 2u);
  EXPECT_EQ(most, 2u);
}

// The second request finds the first one's prompt, although the other replica has as little to do.
TEST(EngineReplicas, APromptIsFoundWhereItWasRead) {
  const auto engine = start(two_replicas());
  for (uint64_t prompt = 0; prompt < 6; ++prompt) {
    Client first, second;
    const Request request = some_request(400, 4, prompt);
    submit(*engine, request, first);
    first.wait();
    submit(*engine, request, second);
    EXPECT_GE(second.wait().usage.cached_tokens, 390) << prompt;
  }
}

TEST(EngineReplicas, RequestsAfterEachOtherTakeTurns) {
  int64_t rows[2] = {0, 0};
  const auto engine = start(two_replicas(), {}, [&](const models::StepBatch& batch) -> Status {
    for (size_t data = 0; data < 2; ++data) rows[data] += batch.data_rows[data];
    return {};
  });
  for (uint64_t prompt = 0; prompt < 6; ++prompt) {
    Client client;
    submit(*engine, some_request(100, 1, prompt), client);
    client.wait();
  }
  EXPECT_EQ(rows[0], 300);
  EXPECT_EQ(rows[1], 300);
}

// Equal beginnings do not draw everyone to one replica.
TEST(EngineReplicas, ASharedPromptIsReadTwiceWhereTheOtherReplicaIsFree) {
  int64_t rows[2] = {0, 0};
  Gate gate;
  const auto engine = start(two_replicas(), {}, [&](const models::StepBatch& batch) -> Status {
    gate.pass();
    for (size_t data = 0; data < 2; ++data) rows[data] += batch.data_rows[data];
    return {};
  });
  std::vector<Client> clients(40);
  for (Client& client : clients) submit(*engine, some_request(100, 50, 7), client);
  gate.open();
  const auto expected = expected_answer(some_request(100, 50, 7), roomy_limits().max_context);
  for (Client& client : clients) EXPECT_EQ(client.wait().tokens, expected.tokens);
  EXPECT_GT(rows[0], 500);
  EXPECT_GT(rows[1], 500);
}

TEST(EngineReplicas, PreemptionStaysWithinAReplica) {
  models::RunLimits limits = two_replicas();
  limits.num_kv_blocks = 24;  // of 4 tokens
  Gate gate;
  const auto engine = start(limits, {}, behind(gate));
  std::vector<Client> clients(12);
  for (size_t i = 0; i < clients.size(); ++i) submit(*engine, some_request(12, 60, i), clients[i]);
  gate.open();
  for (size_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(clients[i].wait().tokens,
              expected_answer(some_request(12, 60, i), limits.max_context).tokens);
  }
  const EngineStats stats = engine->stats();
  EXPECT_GT(stats.preemptions, 0u);
  EXPECT_EQ(stats.kv_blocks_total, 48);
  EXPECT_EQ(stats.kv_blocks_used, 0);
}

TEST(EngineReplicas, CancelledRequestsLeaveNothing) {
  const auto engine = start(two_replicas());
  std::vector<Client> clients(30);
  for (size_t i = 0; i < clients.size(); ++i) {
    const RequestId id = submit(*engine, some_request(30, 200, i), clients[i]);
    if (i % 3 != 0) engine->cancel(id);
  }
  for (Client& client : clients) client.wait();
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
  EXPECT_TRUE(engine->idle());
}

}  // namespace
}  // namespace fathom::engine
