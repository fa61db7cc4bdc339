// Engines with the fake model, whose logits hash what the cache really holds, over a network in
// memory: a block that is wrong, misplaced or missing changes the answer.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <string>
#include <thread>

#include "engine/testing/harness.h"
#include "kvtransfer/prefill_client.h"
#include "kvtransfer/prefill_server.h"
#include "kvtransfer/testing/memory_transport.h"

namespace fathom::kvtransfer {
namespace {

using engine::Answer;
using engine::Client;
using engine::Engine;
using engine::FinishReason;
using engine::Gate;
using engine::KvFailure;
using engine::Request;

constexpr const char* kModel = "model";
constexpr int64_t kContext = 512;
constexpr int64_t kLongContext = 4000;
constexpr uint64_t kRightDrafts = 100;  // in a hundred, where the drafting layer has all latents

Address at(uint16_t port) {
  return {"memory", port};
}

void wait_until(const std::function<bool()>& condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

// A prefill engine at a port. The gate, where there is one, holds prompts in their middle.
struct Prefill {
  Prefill(MemoryNetwork& network, uint16_t port, Gate* gate = nullptr,
          models::RunLimits limits = engine::roomy_limits(), const std::string& model = kModel)
      : engine(engine::start(
            limits, {.prefill_chunk = 16, .exact = true, .speculate = 1, .speculate_always = true},
            [gate](const models::StepBatch& batch) -> Status {
              const bool middle = std::ranges::max(batch.positions) >= 64;
              if (gate != nullptr && middle) gate->pass();
              return {};
            },
            kRightDrafts)) {
    auto started = PrefillServer::start(*engine, model, at(port), network.make());
    EXPECT_TRUE(started.ok());
    server = std::move(*started);
  }

  std::unique_ptr<Engine> engine;
  std::unique_ptr<PrefillServer> server;
};

// A decode engine that counts the rows it computes.
struct Decode {
  Decode(MemoryNetwork& network, std::vector<uint16_t> ports,
         models::RunLimits limits = engine::roomy_limits(), int64_t speculate = 0) {
    auto model = std::make_unique<engine::FakeModel>(
        engine::kVocab, limits,
        engine::FakeOptions{.before_step = [this](const models::StepBatch& batch) -> Status {
                              rows += static_cast<int64_t>(batch.tokens.size());
                              return {};
                            },
                            .right_drafts = kRightDrafts,
                            .steps_in_flight = engine::steps_in_flight()});
    PrefillClientOptions options = {.peers = {}, .hello = {kModel, model->kv_block_format(), 0}};
    for (const uint16_t port : ports) options.peers.push_back(at(port));
    auto source = std::make_unique<PrefillClient>(std::move(options), network.make());
    auto made = make_engine(
        std::move(model), {.speculate = speculate, .speculate_always = true, .min_fetch_tokens = 8},
        std::move(source));
    EXPECT_TRUE(made.ok());
    engine = std::move(*made);
  }

  // Requests are only left to others who are known to be there.
  void meet(uint64_t transfers, int64_t tokens = 20) {
    for (uint64_t seed = 1000; engine->stats().kv_fetched.transfers < transfers; ++seed) {
      ask(*engine, engine::some_request(tokens, 1, seed));
    }
  }
  uint64_t failures(KvFailure failure) const {
    return engine->stats().kv_fetched.failures[static_cast<size_t>(failure)];
  }
  void expect_empty() const {
    wait_until([this] { return engine->idle(); });
    EXPECT_EQ(engine->stats().kv_blocks_used, 0);
  }

  std::atomic<int64_t> rows = 0;
  std::unique_ptr<Engine> engine;
};

void meet_both(Decode& decode, const Prefill& one, const Prefill& other) {
  wait_until([&] {
    decode.meet(decode.engine->stats().kv_fetched.transfers + 1);
    return one.server->stats().transfers > 0 && other.server->stats().transfers > 0;
  });
}

// A request for each client, of make(i).
template <typename Make>
std::vector<Request> submit_all(Decode& decode, std::vector<Client>& clients, const Make& make) {
  std::vector<Request> requests;
  for (size_t i = 0; i < clients.size(); ++i) {
    requests.push_back(make(i));
    engine::submit(*decode.engine, requests.back(), clients[i]);
  }
  return requests;
}

void expect_right(const Answer& answer, const Request& request, int64_t context = kContext) {
  EXPECT_EQ(answer.finish, FinishReason::kLength);
  EXPECT_EQ(answer.tokens, engine::expected_answer(request, context).tokens);
}

TEST(Transfers, WhatAnotherEngineComputedAnswersAsItsOwn) {
  MemoryNetwork network;
  const Prefill prefill(network, 1);
  Decode decode(network, {1});
  decode.meet(1);
  const int64_t before = decode.rows;
  const Request request = engine::some_request(203, 10, 1);
  const Answer answer = ask(*decode.engine, request);
  expect_right(answer, request);
  EXPECT_EQ(answer.usage.cached_tokens, 0);  // what others computed for it is no hit
  EXPECT_EQ(decode.rows - before, 3 + 9);    // behind the last whole block, and the answer's
  // The side that sends counts when it hears that a message has gone, maybe after its arrival.
  const uint64_t fetched = decode.engine->stats().kv_fetched.blocks;
  wait_until([&] { return prefill.server->stats().blocks >= fetched; });
  EXPECT_EQ(prefill.server->stats().blocks, fetched);
  EXPECT_EQ(ask(*decode.engine, request).usage.cached_tokens, 200);
  decode.expect_empty();
}

TEST(Transfers, TheDraftingLayersLatentsTravel) {
  MemoryNetwork network;
  const Prefill prefill(network, 1);
  Decode decode(network, {1}, engine::roomy_limits(), 1);
  decode.meet(1);
  const uint64_t before = decode.engine->stats().draft_tokens;
  const uint64_t right_before = decode.engine->stats().accepted_draft_tokens;
  const Request request = engine::some_request(203, 21, 1);
  expect_right(ask(*decode.engine, request), request);
  EXPECT_EQ(decode.engine->stats().draft_tokens - before, 10u);
  EXPECT_EQ(decode.engine->stats().accepted_draft_tokens - right_before, 10u);
}

TEST(Transfers, ManyAtOnceInterleave) {
  MemoryNetwork network;
  const Prefill first(network, 1);
  const Prefill second(network, 2);
  Decode decode(network, {1, 2});
  meet_both(decode, first, second);
  std::vector<Client> clients(100);
  const auto requests = submit_all(decode, clients, [](uint64_t i) {
    Request request = engine::some_request(10 + static_cast<int64_t>(i) * 4, 5, i);
    request.cache_salt = i % 3 == 0 ? "salt" : "";
    return request;
  });
  for (size_t i = 0; i < 100; ++i) expect_right(clients[i].wait(), requests[i]);
  EXPECT_GT(first.server->stats().transfers, 10u);
  EXPECT_GT(second.server->stats().transfers, 10u);
  decode.expect_empty();
}

TEST(Transfers, ALostEnginesWorkGoesOnElsewhere) {
  MemoryNetwork network;
  Gate gate;
  const Prefill held(network, 1, &gate);
  const Prefill other(network, 2);
  Decode decode(network, {1, 2});
  meet_both(decode, held, other);
  std::vector<Client> clients(6);
  const auto requests =
      submit_all(decode, clients, [](uint64_t i) { return engine::some_request(100, 5, i); });
  const uint64_t nobody = decode.failures(KvFailure::kNoPeer);
  gate.wait_for_arrival();
  network.cut(1);
  gate.open();
  for (size_t i = 0; i < 6; ++i) expect_right(clients[i].wait(), requests[i]);
  EXPECT_GT(decode.failures(KvFailure::kLost), 0u);
  EXPECT_EQ(decode.failures(KvFailure::kNoPeer), nobody);
  decode.expect_empty();
  wait_until([&] { return held.engine->idle(); });  // it cancelled what nobody waits for
}

// Asks until the prefill engine, whose steps are held, has one of the requests.
struct HeldRequest {
  HeldRequest(Decode& decode, Gate& gate) {
    for (uint64_t seed = 1; gate.arrivals() == 0; ++seed) {
      client = Client();
      request = engine::some_request(100, 5, seed);
      id = engine::submit(*decode.engine, request, client);
      wait_until([&] { return gate.arrivals() > 0 || client.so_far().finish; });
    }
  }

  Client client;
  Request request;
  engine::RequestId id = 0;
};

TEST(Transfers, WithNobodyLeftTheEngineComputesItself) {
  MemoryNetwork network;
  Gate gate;
  const Prefill prefill(network, 1, &gate);
  Decode decode(network, {1});
  const HeldRequest held(decode, gate);
  network.cut(1);
  gate.open();
  expect_right(held.client.wait(), held.request);
  EXPECT_EQ(decode.failures(KvFailure::kLost), 1u);
  decode.expect_empty();
}

TEST(Transfers, DamagedBlocksAreNotUsed) {
  MemoryNetwork network;
  const Prefill prefill(network, 1);
  Decode decode(network, {1});
  decode.meet(1);
  network.set_tamper([](std::vector<std::byte>& bytes) {
    if (bytes.size() > 500) bytes[bytes.size() - 100] ^= std::byte(1);
  });
  const Request request = engine::some_request(100, 5, 1);
  expect_right(ask(*decode.engine, request), request);
  EXPECT_EQ(decode.failures(KvFailure::kDamaged), 1u);
  decode.expect_empty();
}

TEST(Transfers, AnEngineWithAnotherModelIsNotAsked) {
  MemoryNetwork network;
  const Prefill prefill(network, 1, nullptr, engine::roomy_limits(), "another");
  Decode decode(network, {1});
  const Request request = engine::some_request(100, 5, 1);
  expect_right(ask(*decode.engine, request), request);
  EXPECT_EQ(decode.engine->stats().kv_fetched.blocks, 0u);
}

models::RunLimits blocks_of(int32_t tokens) {
  models::RunLimits limits = engine::roomy_limits();
  limits.num_kv_blocks = limits.num_kv_blocks * limits.kv_block_size / tokens;
  limits.kv_block_size = tokens;
  return limits;
}

TEST(Transfers, EnginesCutBlocksAsTheOtherHasThem) {
  for (const auto& [prefill_block, decode_block] :
       {std::pair(8, 4), {4, 8}, {3, 5}, {128, 4}, {16, 64}}) {
    SCOPED_TRACE(std::to_string(prefill_block) + " to " + std::to_string(decode_block) + " tokens");
    MemoryNetwork network;
    const Prefill prefill(network, 1, nullptr, blocks_of(prefill_block));
    Decode decode(network, {1}, blocks_of(decode_block), 1);
    decode.meet(1, 80);
    const auto failures = decode.engine->stats().kv_fetched.failures;
    // The second begins as the first does, so that its first blocks are not asked for. Where they
    // end, the drafting layer has seen the same token after them.
    const Request begin = engine::some_request(131, 10, 1);
    Request request = begin;
    const auto rest = engine::some_request(170, 10, 2).prompt;
    request.prompt.insert(request.prompt.end(), rest.begin(), rest.end());
    for (const Request& each : {begin, request}) {
      const int64_t tokens = static_cast<int64_t>(each.prompt.size());
      const int64_t rows = decode.rows;
      const uint64_t right = decode.engine->stats().accepted_draft_tokens;
      const uint64_t drafted = decode.engine->stats().draft_tokens;
      expect_right(ask(*decode.engine, each), each);
      const int64_t fetched = (tokens - 1) / decode_block * decode_block;
      EXPECT_LE(decode.rows - rows, tokens - fetched + 9 + 9);  // drafts are rows, too
      EXPECT_EQ(decode.engine->stats().accepted_draft_tokens - right,
                decode.engine->stats().draft_tokens - drafted);
    }
    decode.expect_empty();
    wait_until([&] { return prefill.engine->idle(); });
    EXPECT_EQ(prefill.engine->stats().kv_blocks_used, 0);
    EXPECT_EQ(decode.engine->stats().kv_fetched.failures, failures);
  }
}

TEST(Transfers, ALostEnginesWorkGoesOnInOtherBlocks) {
  MemoryNetwork network;
  Gate gate;
  const Prefill held(network, 1, &gate, blocks_of(16));
  const Prefill other(network, 2, nullptr, blocks_of(3));
  Decode decode(network, {1, 2});
  meet_both(decode, held, other);
  std::vector<Client> clients(6);
  const auto requests =
      submit_all(decode, clients, [](uint64_t i) { return engine::some_request(100, 5, i); });
  gate.wait_for_arrival();
  network.cut(1);
  gate.open();
  for (size_t i = 0; i < 6; ++i) expect_right(clients[i].wait(), requests[i]);
  EXPECT_GT(decode.failures(KvFailure::kLost), 0u);
  decode.expect_empty();
}

// Many more blocks than may be under way, of both sizes.
TEST(Transfers, LongPromptsFlowInBlocksOfAnySize) {
  for (const auto& [prefill_block, decode_block] : {std::pair(128, 4), {1, 64}, {4, 4}}) {
    MemoryNetwork network;
    models::RunLimits prefill_limits = blocks_of(prefill_block);
    models::RunLimits decode_limits = blocks_of(decode_block);
    prefill_limits.max_context = decode_limits.max_context = kLongContext;
    const Prefill prefill(network, 1, nullptr, prefill_limits);
    Decode decode(network, {1}, decode_limits);
    decode.meet(1, 80);
    const Request request = engine::some_request(3000, 3, 1);
    const int64_t before = decode.rows;
    expect_right(ask(*decode.engine, request), request, kLongContext);
    EXPECT_LE(decode.rows - before, decode_block + 3);
    decode.expect_empty();
  }
}

TEST(Transfers, CancelledWhileItWaitsLeavesNothingBehind) {
  MemoryNetwork network;
  Gate gate;
  const Prefill prefill(network, 1, &gate);
  Decode decode(network, {1});
  const HeldRequest held(decode, gate);
  decode.engine->cancel(held.id);
  EXPECT_EQ(held.client.wait().finish, FinishReason::kCancelled);
  decode.expect_empty();
  gate.open();
  wait_until([&] { return prefill.engine->idle(); });
  EXPECT_EQ(prefill.engine->stats().kv_blocks_used, 0);
}

// Blocks that came are evicted before they are used, running sequences are set back: answers stay.
TEST(Transfers, APoolThatIsShortOfBlocksStillAnswers) {
  MemoryNetwork network;
  const Prefill prefill(network, 1);
  auto limits = engine::roomy_limits();
  limits.num_kv_blocks = 40;  // 160 tokens
  Decode decode(network, {1}, limits);
  decode.meet(1);
  std::vector<Client> clients(40);
  const auto requests = submit_all(decode, clients, [](uint64_t i) {
    return engine::some_request(30 + static_cast<int64_t>(i), 30, i);
  });
  for (size_t i = 0; i < 40; ++i) expect_right(clients[i].wait(), requests[i], 160);
  decode.expect_empty();
}

}  // namespace
}  // namespace fathom::kvtransfer
