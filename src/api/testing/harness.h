// For the tests: a service over an engine and a client that the test plays.
#pragma once

#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "api/service.h"
#include "api/text/json_text.h"
#include "engine/engine.h"
#include "net/http_app.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

// Token ids of the test's tokenizer; a byte's token is its value.
inline constexpr int32_t kBosId = 300;
inline constexpr int32_t kThinkId = 310;
inline constexpr int32_t kThinkEndId = 311;
inline constexpr int32_t kCallsBeginId = 312;
inline constexpr int32_t kCallBeginId = 313;
inline constexpr int32_t kCallSepId = 314;
inline constexpr int32_t kCallEndId = 315;
inline constexpr int32_t kCallsEndId = 316;
inline constexpr int32_t kEosId = 317;
inline constexpr int32_t kMiddleBeginId = 318;
inline constexpr int32_t kMiddleHoleId = 319;
inline constexpr int32_t kMiddleEndId = 320;

// Bytes 0 to 255, some merges, the tokens above. Without `markers` only bos and eos of them.
tokenizer::Tokenizer test_tokenizer(bool markers = true);
std::vector<int32_t> tokens_of(const std::string& bytes);

// Plays the engine: keeps what was submitted until the test says what comes of it.
class FakeEngine : public engine::Engine {
 public:
  struct Submitted {
    engine::Request request;
    engine::Listener listener;
    bool cancelled = false;
    int64_t sent_tokens = 0;
  };

  engine::RequestId submit(engine::Request request, engine::Listener listener) override;
  void cancel(engine::RequestId id) override;
  void cancel_all() override;
  void drain() override { draining = true; }
  bool idle() const override { return true; }
  engine::EngineStats stats() const override { return counts; }
  int64_t waiting(uint64_t) const override { return counts.waiting; }
  int64_t vocab_size() const override { return 400; }
  models::KvBlockFormat kv_block_format() const override { return {}; }
  int64_t max_context() const override { return context; }

  // One token of request `index`, in order of submission; with log-probabilities if it asked.
  void token(size_t index, int32_t id);
  void text(size_t index, const std::string& bytes);
  void finish(size_t index, engine::FinishReason reason = engine::FinishReason::kStop);
  void fail(size_t index, const std::string& message);
  engine::Event event(size_t index) const;
  void send(size_t index, const engine::Event& event) { requests[index].listener(event); }

  std::vector<Submitted> requests;
  std::optional<Error> refusal;  // of the next submit() after `accepted` more
  size_t accept_before_refusal = 0;
  engine::EngineStats counts;
  int64_t context = 1000;
  bool draining = false;
};

// Keeps the answer. Not thread-safe.
class FakeWriter : public net::ResponseWriter {
 public:
  void send(net::HttpResponse response) override;
  void begin_stream(int status, std::vector<net::Header> headers) override;
  bool write(std::string_view data) override;
  void end() override { ended = true; }
  bool client_gone() const override { return gone; }
  void on_client_gone(std::function<void()> callback) override;
  void start_keep_alive(std::string comment, std::chrono::milliseconds interval) override;

  void go_away();
  Json json() const;                 // the whole answer
  std::vector<Json> events() const;  // of the stream, without [DONE]
  bool done() const;                 // whether the stream ended with [DONE]
  std::string header(const std::string& name) const;

  int sends = 0;
  net::HttpResponse response;  // status and headers of a stream, too
  bool streaming = false;
  bool ended = false;
  bool gone = false;
  std::string stream;
  std::string keep_alive;

 private:
  std::function<void()> on_gone_;
};

struct Harness {
  explicit Harness(ApiOptions options = default_options(), bool markers = true);
  // Lets go of what is still asked for, as the engine does, before the service that it asks.
  ~Harness();
  Harness(const Harness&) = delete;
  Harness& operator=(const Harness&) = delete;
  static ApiOptions default_options();

  std::shared_ptr<FakeWriter> request(net::Method method, const std::string& path,
                                      const std::string& body = "",
                                      std::vector<net::Header> headers = {});
  std::shared_ptr<FakeWriter> post(const std::string& path, const Json& body);
  std::shared_ptr<FakeWriter> chat(const Json& extra = {});
  // Chat without streaming whose one answer is `bytes`.
  Json chat_answer(const std::string& bytes, const Json& extra = {});

  tokenizer::Tokenizer tokenizer;
  FakeEngine engine;
  std::shared_ptr<ApiService> service;
};

// The text of a prompt's tokens.
std::string prompt_text(const Harness& harness, size_t index);

// Fails the test unless `writer` has an error in OpenAI's shape with this status.
Json expect_error(const FakeWriter& writer, int status);

}  // namespace fathom::api
