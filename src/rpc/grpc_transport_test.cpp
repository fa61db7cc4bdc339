// Streams and files over gRPC, from the plug-in, on this machine.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/testing/harness.h"
#include "rpc/engine_link.h"
#include "rpc/engine_service.h"
#include "rpc/load_transport.h"

namespace fathom::rpc {
namespace {

using Clock = EngineLink::Clock;

std::shared_ptr<const grammar::Vocabulary> vocabulary() {
  const std::vector<std::string_view> tokens(engine::kVocab, "a");
  return grammar::Vocabulary::build(tokens, {});
}

struct TemporaryFolder {
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "fathom-rpc-XXXXXX").string();
    path = mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path); }
  std::string file(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path / name;
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }
  std::filesystem::path path;
};

// An authority, and certificates for this machine that it has signed; by the openssl command.
class Authority {
 public:
  Authority(const TemporaryFolder& folder, std::string name)
      : folder_(folder), name_(std::move(name)) {
    run("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=" + name_ +
        " -keyout " + path(name_ + ".key") + " -out " + path(name_ + ".pem"));
  }
  std::string file() const { return path(name_ + ".pem"); }

  // Certificate and key in the files of a Security, which has no authority yet.
  Security sign(const std::string& name) const {
    const std::string request = path(name + ".csr");
    const std::string names = folder_.file(name + ".ext", "subjectAltName=IP:127.0.0.1\n");
    Security security{.certificate_file = path(name + ".pem"), .key_file = path(name + ".key")};
    run("req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
        " -keyout " + security.key_file + " -out " + request);
    run("x509 -req -days 2 -in " + request + " -CA " + file() + " -CAkey " + path(name_ + ".key") +
        " -CAcreateserial -extfile " + names + " -out " + security.certificate_file);
    return security;
  }

 private:
  std::string path(const std::string& name) const { return (folder_.path / name).string(); }
  static void run(const std::string& arguments) {
    const std::string command = "openssl " + arguments + " >/dev/null 2>&1";
    ASSERT_EQ(std::system(command.c_str()), 0) << command << "; its package is openssl";
  }

  const TemporaryFolder& folder_;
  const std::string name_;
};

class ServedEngine {
 public:
  explicit ServedEngine(Transport& transport, ServiceOptions options = {})
      : compiler_(vocabulary()) {
    engine::EngineOptions engine_options;
    engine_options.after_events = [this] {
      if (EngineService* const service = service_.load()) service->after_events();
    };
    engine_ = engine::start(engine::roomy_limits(), engine_options);
    if (options.address.empty()) options.address = "127.0.0.1:0";
    options.welcome.vocab_size = engine_->vocab_size();
    options.welcome.manifest.model = "fake";
    options.heartbeat = std::chrono::milliseconds(50);
    options.statistics = std::chrono::milliseconds(50);
    auto service = EngineService::start(transport, *engine_, compiler_, std::move(options));
    EXPECT_TRUE(service.ok()) << service.error().message;
    owned_ = std::move(*service);
    service_ = owned_.get();
  }
  ~ServedEngine() { stop(); }
  void stop() {
    service_ = nullptr;
    engine_->cancel_all();
    while (!engine_->idle()) std::this_thread::yield();
    owned_ = nullptr;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(owned_->port()); }
  engine::Engine& engine() { return *engine_; }

 private:
  grammar::Compiler compiler_;
  std::atomic<EngineService*> service_ = nullptr;
  std::unique_ptr<engine::Engine> engine_;
  std::unique_ptr<EngineService> owned_;
};

class Collected final : public Attempt {
 public:
  void event(const RequestEvent& event) override {
    const std::lock_guard lock(mutex_);
    events_.push_back(event);
    changed_.notify_all();
  }
  void lost(const std::string& reason) override {
    const std::lock_guard lock(mutex_);
    lost_ = reason;
    changed_.notify_all();
  }
  std::vector<RequestEvent> wait_for_end() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] {
      return lost_ || (!events_.empty() && events_.back().event.finish.has_value());
    });
    return events_;
  }
  std::string wait_for_loss() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return lost_.has_value(); });
    return *lost_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<RequestEvent> events_;
  std::optional<std::string> lost_;
};

class GrpcTransport : public testing::Test {
 protected:
  void SetUp() override {
    auto transport = load_transport();
    ASSERT_TRUE(transport.ok()) << transport.error().message
                                << "; its packages are libgrpc++-dev, protobuf-compiler-grpc, "
                                   "protobuf-compiler and libprotobuf-dev";
    transport_ = std::move(*transport);
  }
  std::shared_ptr<EngineLink> call(const std::string& address, Security security = {}) {
    LinkOptions options;
    options.address = address;
    options.security = std::move(security);
    options.gateway = "test";
    return std::make_shared<EngineLink>(*transport_, options);
  }
  // Ticks until the link is in that state.
  static void wait_for(EngineLink& link, LinkState state) {
    while (link.status().state != state) {
      link.tick(Clock::now());
      std::this_thread::yield();
    }
  }

  std::unique_ptr<Transport> transport_;
};

TEST_F(GrpcTransport, CarriesRequestsAndAnswers) {
  ServedEngine engine(*transport_);
  const auto link = call(engine.address());
  wait_for(*link, LinkState::kServing);
  EXPECT_EQ(link->status().welcome.manifest.model, "fake");
  Submit submit;
  submit.request = engine::some_request(5, 20, 3);
  submit.request.sampling.logprobs = 2;
  submit.request.sampling.logit_bias = {{1, 0.5f}};
  const engine::Answer expected = engine::ask(engine.engine(), submit.request);
  const auto collected = std::make_shared<Collected>();
  ASSERT_TRUE(link->submit(submit, collected));
  const auto events = collected->wait_for_end();
  ASSERT_TRUE(events.front().event.accepted);
  std::vector<engine::TokenId> tokens;
  std::vector<engine::TokenLogprob> logprobs;
  for (const RequestEvent& event : events) {
    if (event.event.token) tokens.push_back(*event.event.token);
    if (event.event.logprob) logprobs.push_back(*event.event.logprob);
  }
  EXPECT_EQ(tokens, expected.tokens);
  ASSERT_EQ(logprobs.size(), expected.logprobs.size());
  for (size_t i = 0; i < logprobs.size(); ++i) {
    EXPECT_EQ(logprobs[i].logprob, expected.logprobs[i].logprob);
    EXPECT_EQ(logprobs[i].top, expected.logprobs[i].top);
  }
  EXPECT_EQ(events.back().event.finish, expected.finish);
  EXPECT_EQ(events.back().event.usage.completion_tokens, expected.usage.completion_tokens);
  link->close();
}

TEST_F(GrpcTransport, RefusalsSayWhy) {
  ServedEngine engine(*transport_);
  const auto link = call(engine.address());
  wait_for(*link, LinkState::kServing);
  Submit submit;
  submit.request = engine::some_request(5, 20, 3);
  submit.request.prompt[2] = engine::kVocab;
  const auto collected = std::make_shared<Collected>();
  ASSERT_TRUE(link->submit(submit, collected));
  const auto events = collected->wait_for_end();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].event.finish, engine::FinishReason::kRefused);
  EXPECT_EQ(events[0].event.error->code, ErrorCode::kInvalidArgument);
  link->close();
}

TEST_F(GrpcTransport, AnEngineThatStopsIsLostAndFoundAgain) {
  auto engine = std::make_unique<ServedEngine>(*transport_);
  const std::string address = engine->address();
  const auto link = call(address);
  wait_for(*link, LinkState::kServing);
  Submit submit;
  submit.request = engine::some_request(5, 500, 3);
  submit.request.sampling.ignore_eos = true;
  const auto collected = std::make_shared<Collected>();
  ASSERT_TRUE(link->submit(submit, collected));
  engine = nullptr;
  wait_for(*link, LinkState::kAway);
  ServiceOptions options;
  options.address = address;
  engine = std::make_unique<ServedEngine>(*transport_, options);
  wait_for(*link, LinkState::kServing);
  link->close();
}

TEST_F(GrpcTransport, NobodyThereIsLost) {
  const auto link = call("127.0.0.1:1");
  link->tick(Clock::now());
  wait_for(*link, LinkState::kAway);
  EXPECT_NE(link->status().reason, "");
}

TEST_F(GrpcTransport, AsksForTheSecret) {
  const TemporaryFolder folder;
  ServiceOptions options;
  options.security.secret_file = folder.file("secret", "open sesame\n");
  ServedEngine engine(*transport_, options);
  const auto link = call(engine.address(), options.security);
  wait_for(*link, LinkState::kServing);
  link->close();
  Security wrong;
  wrong.secret_file = folder.file("wrong", "open barley\n");
  for (const Security& security : {Security(), wrong}) {
    const auto refused = call(engine.address(), security);
    refused->tick(Clock::now());
    while (refused->status().state == LinkState::kCalling) std::this_thread::yield();
    EXPECT_NE(refused->status().reason.find("secret"), std::string::npos)
        << refused->status().reason;
    refused->close();
  }
  // Replaced while it runs.
  folder.file("secret", "open rye\n");
  const auto replaced = call(engine.address(), options.security);
  wait_for(*replaced, LinkState::kServing);
  replaced->close();
}

TEST_F(GrpcTransport, BothSidesShowCertificates) {
  const TemporaryFolder folder;
  const Authority ours(folder, "ours"), theirs(folder, "theirs");
  ServiceOptions options;
  options.security = ours.sign("engine");
  options.security.authority_file = ours.file();
  ServedEngine engine(*transport_, options);
  Security gateway = ours.sign("gateway");
  gateway.authority_file = ours.file();
  const auto link = call(engine.address(), gateway);
  wait_for(*link, LinkState::kServing);
  link->close();

  Security stranger = theirs.sign("stranger");
  stranger.authority_file = ours.file();
  Security nameless{.authority_file = ours.file()};
  Security mistrusting = ours.sign("mistrusting");
  mistrusting.authority_file = theirs.file();
  for (const Security& security : {stranger, nameless, mistrusting, Security()}) {
    const auto refused = call(engine.address(), security);
    refused->tick(Clock::now());
    while (refused->status().state == LinkState::kCalling) refused->tick(Clock::now());
    EXPECT_EQ(refused->status().state, LinkState::kAway);
    EXPECT_EQ(refused->status().welcome.manifest.model, "");
    refused->close();
  }
}

TEST_F(GrpcTransport, ASecretWithinTls) {
  const TemporaryFolder folder;
  const Authority authority(folder, "authority");
  ServiceOptions options;
  options.security = authority.sign("engine");
  options.security.secret_file = folder.file("secret", "open sesame\n");
  ServedEngine engine(*transport_, options);
  Security gateway{.authority_file = authority.file(), .secret_file = options.security.secret_file};
  const auto link = call(engine.address(), gateway);
  wait_for(*link, LinkState::kServing);
  link->close();
}

TEST_F(GrpcTransport, CertificatesAreReplacedWhileItRuns) {
  const TemporaryFolder folder;
  const Authority before(folder, "before"), after(folder, "after");
  ServiceOptions options;
  options.security = before.sign("engine");
  options.security.secret_file = folder.file("secret", "open sesame\n");
  ServedEngine engine(*transport_, options);
  Security gateway{.authority_file = after.file(), .secret_file = options.security.secret_file};
  const auto link = call(engine.address(), gateway);
  link->tick(Clock::now());
  while (link->status().state == LinkState::kCalling) std::this_thread::yield();
  EXPECT_EQ(link->status().state, LinkState::kAway);
  after.sign("engine");  // the same files
  wait_for(*link, LinkState::kServing);
  link->close();
}

TEST_F(GrpcTransport, SendsFilesByDigest) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += std::to_string(i);
  ServiceOptions options;
  options.files["abc"] = folder.file("tokenizer.json", text);
  options.files["empty"] = folder.file("empty", "");
  ServedEngine engine(*transport_, options);
  EXPECT_EQ(*transport_->read_file(engine.address(), {}, "abc", text.size()), text);
  EXPECT_EQ(*transport_->read_file(engine.address(), {}, "empty", 10), "");
  EXPECT_EQ(transport_->read_file(engine.address(), {}, "abc", text.size() - 1).error().code,
            ErrorCode::kResourceExhausted);
  EXPECT_FALSE(transport_->read_file(engine.address(), {}, "other", 10).ok());
}

TEST_F(GrpcTransport, OffThisMachineItIsSecured) {
  ServiceOptions options;
  for (const char* address : {"0.0.0.0:0", "[::]:0", "node1:7101"}) {
    const auto server = transport_->listen(address, {}, 1 << 20, {}, {});
    ASSERT_FALSE(server.ok()) << address;
    EXPECT_EQ(server.error().code, ErrorCode::kInvalidArgument);
  }
}

}  // namespace
}  // namespace fathom::rpc
