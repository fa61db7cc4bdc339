// Answers over several engines, which are lost at any moment, against those of one engine that is
// not: real engines over a fake model, a network in memory.
#include "gateway/fleet.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <random>
#include <string>
#include <vector>

#include "engine/testing/harness.h"
#include "rpc/engine_service.h"
#include "rpc/testing/memory_network.h"

namespace fathom::gateway {
namespace {

using engine::Answer;
using engine::Client;
using engine::FinishReason;
using engine::Request;
using engine::some_request;

constexpr engine::TokenId kEos = 5;
const std::vector<std::string> kAddresses = {"a:1", "b:1", "c:1"};

std::shared_ptr<const grammar::Vocabulary> letters() {
  static const std::string text = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::vector<std::string_view> tokens;
  for (size_t i = 0; i < engine::kVocab; ++i) tokens.push_back(std::string_view(text).substr(i, 1));
  return grammar::Vocabulary::build(tokens, {});
}

engine::EngineOptions engine_options() {
  return {.eos_token_ids = {kEos}, .max_running = 16, .exact = true};
}

// One engine, and what serves it on the network.
class Served {
 public:
  Served(rpc::MemoryNetwork& network, const std::string& address,
         engine::EngineOptions options = engine_options(),
         engine::FakeOptions::BeforeStep before_step = {})
      : compiler_(letters()) {
    options.after_events = [this] {
      if (rpc::EngineService* const service = service_.load()) service->after_events();
    };
    engine_ = engine::start(engine::roomy_limits(), std::move(options), std::move(before_step));
    rpc::ServiceOptions service;
    service.address = address;
    service.welcome.instance = address;
    service.welcome.vocab_size = engine_->vocab_size();
    service.welcome.max_context = engine_->max_context();
    service.heartbeat = std::chrono::milliseconds(20);
    auto started = rpc::EngineService::start(network, *engine_, compiler_, std::move(service));
    EXPECT_TRUE(started.ok()) << started.error().message;
    owned_ = std::move(*started);
    service_ = owned_.get();
  }
  ~Served() {
    service_ = nullptr;
    engine_->cancel_all();
    while (!engine_->idle()) std::this_thread::yield();
    owned_ = nullptr;
  }

  engine::Engine& engine() { return *engine_; }
  rpc::EngineService& service() { return *owned_; }

 private:
  grammar::Compiler compiler_;
  std::atomic<rpc::EngineService*> service_ = nullptr;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<rpc::EngineService> owned_;
};

FleetOptions fleet_options(std::vector<std::string> engines = kAddresses) {
  FleetOptions options;
  options.engines = std::move(engines);
  options.gateway = "test";
  options.tick = std::chrono::milliseconds(5);
  options.limits.most_attempts = 1000;
  return options;
}

struct Cluster {
  explicit Cluster(size_t count = 3) {
    for (size_t i = 0; i < count; ++i) {
      engines.push_back(std::make_unique<Served>(network, kAddresses[i]));
    }
    fleet = std::make_unique<Fleet>(
        network,
        fleet_options({kAddresses.begin(), kAddresses.begin() + static_cast<ptrdiff_t>(count)}));
    while (serving() < count) std::this_thread::yield();
  }
  size_t serving() const {
    size_t serving = 0;
    for (const auto& status : fleet->engines()) {
      serving += status.state == rpc::LinkState::kServing ? 1 : 0;
    }
    return serving;
  }

  rpc::MemoryNetwork network;
  std::vector<std::unique_ptr<Served>> engines;
  std::unique_ptr<Fleet> fleet;
};

// Every kind of thing that an answer must keep where it goes on.
Request varied_request(uint64_t number) {
  static grammar::Compiler compiler(letters());
  Request request = some_request(3 + static_cast<int64_t>(number % 40),
                                 20 + static_cast<int64_t>(number % 30), number + 1);
  request.sampling.temperature = number % 5 == 0 ? 0.0f : 1.0f;
  request.sampling.ignore_eos = number % 3 == 0;
  if (number % 4 == 1) request.sampling.logprobs = 3;
  if (number % 6 == 2) request.sampling.prompt_logprobs = 1;
  if (number % 7 == 3) request.sampling.frequency_penalty = 0.7f;
  if (number % 8 == 4) request.sampling.min_tokens = 15;
  if (number % 5 == 2) {
    request.grammar = *compiler.compile({grammar::SourceKind::kRegex, "([a-m]{3}[n-z]){2,40}"});
  }
  if (number % 9 == 5) request.thought = engine::Thought{.end = 9, .budget = 6};
  return request;
}

void expect_equal(const Answer& got, const Answer& expected, uint64_t number) {
  EXPECT_EQ(got.tokens, expected.tokens) << "request " << number;
  EXPECT_EQ(got.finish, expected.finish) << "request " << number;
  EXPECT_EQ(got.stop_token, expected.stop_token) << "request " << number;
  EXPECT_EQ(got.finishes, 1) << "request " << number;
  EXPECT_EQ(got.usage.prompt_tokens, expected.usage.prompt_tokens) << "request " << number;
  EXPECT_EQ(got.usage.completion_tokens, expected.usage.completion_tokens) << "request " << number;
  ASSERT_EQ(got.logprobs.size(), expected.logprobs.size()) << "request " << number;
  for (size_t i = 0; i < got.logprobs.size(); ++i) {
    EXPECT_EQ(got.logprobs[i].logprob, expected.logprobs[i].logprob) << "request " << number;
    EXPECT_EQ(got.logprobs[i].top, expected.logprobs[i].top) << "request " << number;
  }
  EXPECT_EQ(got.prompt_logprobs.size(), expected.prompt_logprobs.size()) << "request " << number;
  EXPECT_TRUE(got.prompt_first) << "request " << number;
}

std::vector<Answer> undisturbed(uint64_t count) {
  const auto engine = engine::start(engine::roomy_limits(), engine_options());
  std::vector<Client> clients(count);
  for (uint64_t i = 0; i < count; ++i) engine::submit(*engine, varied_request(i), clients[i]);
  std::vector<Answer> answers;
  for (const Client& client : clients) answers.push_back(client.wait());
  return answers;
}

TEST(Fleet, AnswersAsOneEngine) {
  constexpr uint64_t kCount = 60;
  const std::vector<Answer> expected = undisturbed(kCount);
  Cluster cluster;
  std::vector<Client> clients(kCount);
  for (uint64_t i = 0; i < kCount; ++i) {
    cluster.fleet->submit(varied_request(i), clients[i].listener());
  }
  for (uint64_t i = 0; i < kCount; ++i) expect_equal(clients[i].wait(), expected[i], i);
  while (!cluster.fleet->idle()) std::this_thread::yield();
}

// The links are cut at tokens chosen by chance, one engine after the other, and come back.
TEST(Fleet, NoAnswerChangesWhenEnginesAreLost) {
  constexpr uint64_t kCount = 40;
  const std::vector<Answer> expected = undisturbed(kCount);
  for (uint64_t round = 0; round < 10; ++round) {
    Cluster cluster;
    std::mt19937_64 random(round);
    std::atomic<int64_t> until_cut = 1 + static_cast<int64_t>(random() % 40);
    std::atomic<int> cuts = 0;
    std::atomic<bool> all_there = false;  // what is lost before it is accepted is refused
    const auto disturb = [&](const engine::Event& event) {
      if (!all_there || !event.token || --until_cut != 0) return;
      const size_t victim = static_cast<size_t>(cuts++) % kAddresses.size();
      for (const std::string& address : kAddresses) cluster.network.restore(address);
      cluster.network.cut(kAddresses[victim]);
      until_cut = 1 + cuts * 17 % 97;
    };
    std::vector<Client> clients(kCount);
    for (uint64_t i = 0; i < kCount; ++i) {
      cluster.fleet->submit(varied_request(i), clients[i].listener(disturb));
    }
    all_there = true;
    for (uint64_t i = 0; i < kCount; ++i) expect_equal(clients[i].wait(), expected[i], i);
    EXPECT_GE(cuts, 3) << "round " << round;
    cluster.fleet = nullptr;
  }
}

TEST(Fleet, AnEngineThatFallsSilentIsDead) {
  Cluster cluster(2);
  Client client;
  Request request = some_request(4, 400, 1);
  request.sampling.ignore_eos = true;
  const auto alone = engine::start(engine::roomy_limits(), engine_options());
  const Answer expected = engine::ask(*alone, request);
  std::atomic<int> tokens = 0;
  cluster.fleet->submit(request, client.listener([&](const engine::Event& event) {
    if (event.token && ++tokens == 10) {
      for (size_t i = 0; i < 2; ++i) {
        if (!cluster.engines[i]->engine().idle()) cluster.network.silence(kAddresses[i]);
      }
    }
  }));
  expect_equal(client.wait(), expected, 0);
}

TEST(Fleet, RefusesWhatTheEngineRefuses) {
  Cluster cluster(1);
  Request request = some_request(3, 2, 1);
  request.prompt[0] = engine::kVocab;
  Client client;
  cluster.fleet->submit(request, client.listener());
  const Answer answer = client.wait();
  EXPECT_EQ(answer.finish, FinishReason::kRefused);
  EXPECT_EQ(answer.error->code, ErrorCode::kInvalidArgument);
}

TEST(Fleet, WithoutAnEngineNothingIsAccepted) {
  rpc::MemoryNetwork network;
  Fleet fleet(network, fleet_options());
  Client client;
  fleet.submit(some_request(3, 2, 1), client.listener());
  const Answer answer = client.wait();
  EXPECT_EQ(answer.finish, FinishReason::kRefused);
  EXPECT_EQ(answer.error->code, ErrorCode::kUnavailable);
  EXPECT_TRUE(fleet.idle());
}

TEST(Fleet, ACancelledRequestLeavesItsEngine) {
  rpc::MemoryNetwork network;
  engine::Gate gate;
  Served engine(network, kAddresses[0], engine_options(), engine::behind(gate));
  Fleet fleet(network, fleet_options({kAddresses[0]}));
  ASSERT_TRUE(fleet.wait_for_engine(std::chrono::seconds(10)));
  Client client;
  const engine::RequestId id = fleet.submit(some_request(3, 480, 1), client.listener());
  gate.wait_for_arrival();
  fleet.cancel(id);
  EXPECT_EQ(client.wait().finish, FinishReason::kCancelled);
  // Messages keep their order: an engine that has accepted a later request knows of the cancel.
  std::latch accepted(1);
  Client later;
  fleet.submit(some_request(3, 1, 2), later.listener([&](const engine::Event& event) {
    if (event.accepted) accepted.count_down();
  }));
  accepted.wait();
  gate.open();
  later.wait();
  while (!engine.engine().idle() || !fleet.idle()) std::this_thread::yield();
  EXPECT_EQ(engine.engine().stats().cancelled, 1u);
}

TEST(Fleet, PartsBeginAtOneEngineAndNoneWhereNotAllHaveRoom) {
  engine::EngineOptions options = engine_options();
  options.max_waiting = 4;
  rpc::MemoryNetwork network;
  engine::Gate gate;
  Served engine(network, kAddresses[0], options, engine::behind(gate));
  Fleet fleet(network, fleet_options({kAddresses[0]}));
  ASSERT_TRUE(fleet.wait_for_engine(std::chrono::seconds(10)));
  Client running, refused;
  fleet.submit(some_request(3, 2, 1), running.listener());
  gate.wait_for_arrival();
  Request many = some_request(3, 2, 2);
  many.parts = 3;  // of the 4 places it would leave fewer than it takes
  fleet.submit(many, refused.listener());
  EXPECT_EQ(refused.wait().error->code, ErrorCode::kResourceExhausted);
  many.parts = 2;
  Client first, second;
  const engine::RequestId id = fleet.submit(many, first.listener());
  many.parts = 1;
  many.part_of = id;
  fleet.submit(many, second.listener());
  gate.open();
  EXPECT_EQ(first.wait().tokens.size(), 2u);
  EXPECT_EQ(second.wait().tokens.size(), 2u);
}

TEST(Fleet, AnEngineThatDrainsTakesNothingNew) {
  Cluster cluster(2);
  cluster.engines[0]->service().drain();
  while (cluster.serving() > 1) std::this_thread::yield();
  for (uint64_t i = 0; i < 20; ++i) {
    Client client;
    cluster.fleet->submit(some_request(3, 4, i + 1), client.listener());
    EXPECT_EQ(client.wait().error, std::nullopt);
  }
  EXPECT_EQ(cluster.engines[0]->engine().stats().prompt_tokens, 0u);
}

}  // namespace
}  // namespace fathom::gateway
