// The HTTP API over one engine: OpenAI's chat and text completions, responses and models,
// Anthropic's messages, vLLM's tokenize and detokenize, health, version and metrics (router.h).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/edge.h"
#include "api/model_alias.h"
#include "api/request_log.h"
#include "api/responses/store.h"
#include "base/result.h"
#include "engine/engine.h"
#include "jinja/chat_template.h"
#include "net/http_app.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

struct ModelInfo {
  std::string id;  // as answers and /v1/models name it
  std::vector<ModelAlias> aliases;
  int64_t created = 0;  // seconds since 1970
};

struct ApiOptions {
  ModelInfo model;
  std::string version;
  bool default_thinking = false;  // where a chat request does not say
  // Chat answers without max_tokens; by default the rest of the context.
  std::optional<int64_t> default_max_tokens;
  // Text prompts begin with the model's first token (add_bos_token of tokenizer_config.json).
  bool add_bos_token = true;
  size_t max_body_bytes = 16 << 20;
  responses::StoreLimits stored_responses;  // of /v1/responses
  int max_choices = 1024;                   // of one request: prompts times n
  // Of all answers with log-probabilities that are kept until they are whole.
  size_t answer_memory_bytes = size_t{2} << 30;
  int64_t max_waiting = 2048;                    // the engine's; x-ratelimit headers tell it
  std::chrono::milliseconds keep_alive{10'000};  // between comments in a silent stream
  bool expert_metrics = false;                   // /metrics has a counter for each expert
  // Prompts find what those of other keys' owners left in the prefix cache, which is faster where
  // they begin alike, and lets an owner learn how others' prompts begin.
  bool share_prefix_cache = false;
  EdgeOptions edge;
  bool tls = false;  // the server speaks it
  RequestLogOptions request_log;
  // For /metrics: what this engine has sent to others.
  std::function<engine::KvTransferStats()> kv_sent = [] { return engine::KvTransferStats(); };
};

class ApiService : public net::HttpApp {
 public:
  // `engine` must outlive the service and every answer; models that only complete text have no chat
  // template. Errors: kInvalidArgument for options that contradict themselves.
  static Result<std::shared_ptr<ApiService>> create(engine::Engine& engine,
                                                    tokenizer::Tokenizer tokenizer,
                                                    std::optional<jinja::ChatTemplate> chat,
                                                    ApiOptions options);
  ~ApiService() override;

  // Who may ask, and for what, told from the head alone.
  std::optional<net::HttpResponse> early_answer(const net::HttpRequest& head) override;
  bool takes_body(const net::HttpRequest& head) const override;
  net::Lane lane(const net::HttpRequest& request) const override;
  // Answers at once or from the engine's thread.
  void handle(net::HttpRequest request, std::shared_ptr<net::ResponseWriter> writer) override;
  // What browsers are told.
  std::vector<net::Header> response_headers(const net::HttpRequest& request) const override;
  // In the shape of the route's other errors, as far as `head` tells the route.
  net::HttpResponse protocol_error(int status, const std::string& message,
                                   const net::HttpRequest& head) override;
  void client_left(const net::HttpRequest& head) noexcept override;

  // Whether /health says 200; off at first. Until it is on, work is answered 503.
  void set_ready(bool ready);
  // From now on new work is answered 503 and the engine takes none; what runs goes on.
  void begin_shutdown();

 private:
  struct Impl;
  explicit ApiService(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // and every answer's that has not ended
};

}  // namespace fathom::api
