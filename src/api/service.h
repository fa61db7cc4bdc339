// The HTTP API over one engine: OpenAI's chat and text completions, responses and models,
// Anthropic's messages, vLLM's tokenize and detokenize, health, version and metrics (routes.h).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/context/context.h"
#include "base/result.h"
#include "engine/engine.h"
#include "jinja/chat_template.h"
#include "net/http_app.h"
#include "tokenizer/tokenizer.h"

namespace fathom::api {

class ApiService : public net::HttpApp {
 public:
  // `engine` must outlive the service and every answer; models that only complete text have no chat
  // template. Errors: kInvalidArgument for options that contradict themselves.
  static Result<std::shared_ptr<ApiService>> create(engine::Engine& engine,
                                                    tokenizer::Tokenizer tokenizer,
                                                    std::optional<jinja::ChatTemplate> chat,
                                                    ApiOptions options);
  ~ApiService() override;

  // Refuses by the head alone: no key, a foreign Host or origin, no such route.
  std::optional<net::HttpResponse> early_answer(const net::HttpRequest& head) override;
  bool takes_body(const net::HttpRequest& head) const override;
  net::Lane lane(const net::HttpRequest& request) const override;
  // Answers at once or from the engine's thread.
  void handle(net::HttpRequest request, std::shared_ptr<net::ResponseWriter> writer) override;
  // CORS headers.
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
