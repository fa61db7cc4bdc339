#include "api/service.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <nlohmann/json.hpp>

#include "api/openapi.h"
#include "api/routes.h"
#include "net/content_coding.h"

namespace fathom::api {

namespace {

ApiError no_such_route(const net::HttpRequest& request) {
  return {.status = 404,
          .message = fmt::format("no route {} {}", shorten(request.method_text, 20),
                                 shorten(request.path, 200)),
          .type = "invalid_request_error",
          .code = "not_found"};
}

ApiError wrong_method(const net::HttpRequest& request, const RouteMatch& match) {
  return {.status = 405,
          .message = fmt::format("{}: expected {}, got {}", match.route->pattern, match.allow,
                                 shorten(request.method_text, 20)),
          .type = "invalid_request_error",
          .code = "method_not_allowed"};
}

ApiError unknown_coding(const std::string& coding) {
  return {.status = 415,
          .message = "Content-Encoding: expected gzip or none, got " + shorten(coding, 100),
          .type = "invalid_request_error",
          .code = "unsupported_content_encoding"};
}

// The body's Content-Encoding; nullptr if it has none.
const std::string* content_coding(const net::HttpRequest& request) {
  const std::string* coding = request.header("content-encoding");
  const bool none = coding == nullptr || net::equals_ignoring_case(*coding, "identity");
  return none ? nullptr : coding;
}

// Replaces a compressed body by its content.
std::optional<ApiError> unpack(net::HttpRequest& request, size_t limit) {
  const std::string* coding = content_coding(request);
  if (coding == nullptr || request.body.empty()) return std::nullopt;
  if (!net::is_gzip(*coding)) return unknown_coding(*coding);
  auto body = net::gunzip(request.body, limit);
  if (body) {
    request.body = std::move(*body);
    return std::nullopt;
  }
  ApiError error = to_api_error(body.error().with_context("request body"));
  if (body.error().code == ErrorCode::kResourceExhausted) {
    error = {.status = 413,
             .message = error.message,
             .type = "invalid_request_error",
             .code = "request_too_large"};
  }
  return error;
}

ApiError body_too_large(size_t limit, size_t got) {
  return {.status = 413,
          .message = fmt::format("request body: expected at most {} bytes, got {}", limit, got),
          .type = "invalid_request_error",
          .code = "request_too_large"};
}

// Whether a body may name a grammar. It is not parsed yet, so keys are looked for as text; a letter
// that JSON spells as an escape, which no client needs to, counts as one.
bool may_name_grammar(std::string_view body) {
  constexpr std::string_view kKeys[] = {"\"tools\"",
                                        "\"response_format\"",
                                        "\"structured_outputs\"",
                                        "\"format\"",
                                        "\"output_format\"",
                                        "\"output_config\"",
                                        "\\u004",
                                        "\\u005",
                                        "\\u006",
                                        "\\u007"};
  return std::any_of(std::begin(kKeys), std::end(kKeys),
                     [&](std::string_view key) { return body.find(key) != body.npos; });
}

}  // namespace

struct ApiService::Impl {
  Impl(engine::Engine& engine, tokenizer::Tokenizer tokenizer,
       std::optional<jinja::ChatTemplate> chat, const ApiOptions& options)
      : context(engine, std::move(tokenizer), std::move(chat), options,
                dump_json(openapi_document(routes().routes(), options.version))),
        edge(options.edge, routes()) {}

  // Whether the model may work for the request; if not, `reply` has said why.
  bool admit(const Call& call, Reply& reply) const;
  std::optional<net::HttpResponse> refuse_early(const net::HttpRequest& head);
  net::HttpResponse answer_at_edge(const ApiError& error, const net::HttpRequest& head);

  HandlerContext context;
  const Edge edge;
};

// The answer to a request that reaches no handler.
net::HttpResponse ApiService::Impl::answer_at_edge(const ApiError& error,
                                                   const net::HttpRequest& head) {
  const auto match = routes().match(head);
  const bool known = error.status != 401;
  RequestRecord record = begin_record(head, match, known ? edge.caller(head) : std::nullopt);
  context.metrics.count_http(record.route, error.status);
  note_error(record, error);
  context.log.write(record);
  const ErrorShape shape = match ? match->route->errors : ErrorShape::kOpenAi;
  const std::string& id = record.id;
  net::HttpResponse response{error.status,
                             {{"Content-Type", "application/json"}, {"X-Request-Id", id}},
                             error_body(error, shape)};
  if (shape == ErrorShape::kAnthropic) response.headers.push_back({"Request-Id", id});
  for (auto& header : edge.cors_headers(head)) response.headers.push_back(std::move(header));
  return response;
}

bool ApiService::Impl::admit(const Call& call, Reply& reply) const {
  const int64_t most = context.options.max_waiting;
  const int64_t waiting = context.model.engine.waiting(owner_number(call.caller.owner));
  reply.set_quota({most, std::max<int64_t>(0, most - waiting)});
  if (const auto why = context.unavailable()) {
    reply.send_error(*why);
    return false;
  }
  const size_t limit = context.options.max_body_bytes;
  const size_t bytes = call.request.body.size();
  if (bytes > limit) reply.send_error(body_too_large(limit, bytes));
  return bytes <= limit;
}

Result<std::shared_ptr<ApiService>> ApiService::create(engine::Engine& engine,
                                                       tokenizer::Tokenizer tokenizer,
                                                       std::optional<jinja::ChatTemplate> chat,
                                                       ApiOptions options) {
  if (options.model.id.empty()) {
    return invalid_argument("api: expected a model name, got an empty one", "model");
  }
  if (options.default_max_tokens && *options.default_max_tokens < 1) {
    return invalid_argument(fmt::format("api: expected default_max_tokens of 1 or more, got {}",
                                        *options.default_max_tokens),
                            "default_max_tokens");
  }
  auto impl = std::make_shared<Impl>(engine, std::move(tokenizer), std::move(chat), options);
  return std::shared_ptr<ApiService>(new ApiService(std::move(impl)));
}

ApiService::ApiService(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
ApiService::~ApiService() = default;

void ApiService::handle(net::HttpRequest request, std::shared_ptr<net::ResponseWriter> writer) {
  const auto match = routes().match(request);
  const auto caller = impl_->edge.caller(request);
  const auto reply =
      std::make_shared<Reply>(std::move(writer), begin_record(request, match, caller),
                              std::shared_ptr<RequestLog>(impl_, &impl_->context.log),
                              std::shared_ptr<Metrics>(impl_, &impl_->context.metrics),
                              match ? match->route->errors : ErrorShape::kOpenAi);
  if (!match) return reply->send_error(no_such_route(request));
  if (!match->allowed) {
    return reply->send_error(wrong_method(request, *match), {{"Allow", match->allow}});
  }
  if (!caller) return reply->send_error(*impl_->edge.refusal(request));  // the keys have changed
  if (const auto error = unpack(request, impl_->context.options.max_body_bytes)) {
    return reply->send_error(*error);
  }
  const Call call{request, *caller, match->argument};
  const Route& route = *match->route;
  if (route.kind != RouteKind::kQuick && !impl_->admit(call, *reply)) return;
  route.handle(impl_->context, call, reply);
}

net::Lane ApiService::lane(const net::HttpRequest& request) const {
  constexpr size_t kLargeBytes = size_t{64} << 10;
  const std::string& body = request.body;
  if (body.empty()) return net::Lane::kQuick;
  // A compressed body may hold a grammar, and be large.
  if (request.header("content-encoding") != nullptr) return net::Lane::kHeavy;
  if (body.size() > kLargeBytes) return net::Lane::kHeavy;
  const auto match = routes().match(request);
  const bool heavy = match && match->route->kind == RouteKind::kHeavy && may_name_grammar(body);
  return heavy ? net::Lane::kHeavy : net::Lane::kShort;
}

std::optional<net::HttpResponse> ApiService::early_answer(const net::HttpRequest& head) {
  if (impl_->edge.is_preflight(head)) {
    auto answer = impl_->edge.preflight(head);
    RequestRecord record = begin_record(head, routes().match(head), std::nullopt);
    record.status = answer.status;
    impl_->context.log.write(record);
    answer.headers.push_back({"X-Request-Id", record.id});
    return answer;
  }
  return impl_->refuse_early(head);
}

// What is told before a body is read, that of strangers above all.
std::optional<net::HttpResponse> ApiService::Impl::refuse_early(const net::HttpRequest& head) {
  if (const auto refusal = edge.refusal(head)) {
    net::HttpResponse response = answer_at_edge(*refusal, head);
    if (refusal->status == 401) response.headers.push_back({"WWW-Authenticate", "Bearer"});
    return response;
  }
  const auto match = routes().match(head);
  if (!match) return answer_at_edge(no_such_route(head), head);
  if (!match->allowed) {
    net::HttpResponse response = answer_at_edge(wrong_method(head, *match), head);
    response.headers.push_back({"Allow", match->allow});
    return response;
  }
  const std::string* coding = content_coding(head);
  if (coding != nullptr && match->route->takes_body() && !net::is_gzip(*coding)) {
    net::HttpResponse response = answer_at_edge(unknown_coding(*coding), head);
    response.headers.push_back({"Accept-Encoding", "gzip, identity"});
    return response;
  }
  return std::nullopt;
}

void ApiService::client_left(const net::HttpRequest& head) noexcept {
  try {
    RequestRecord record = begin_record(head, routes().match(head), impl_->edge.caller(head));
    record.status = kClientLeftStatus;
    record.finish = RequestEnd::kCancelled;
    impl_->context.log.write(record);
  } catch (const std::exception&) {  // no memory to tell of it
  }
}

bool ApiService::takes_body(const net::HttpRequest& head) const {
  const auto match = routes().match(head);
  return match && match->route->takes_body();
}

std::vector<net::Header> ApiService::response_headers(const net::HttpRequest& request) const {
  return impl_->edge.cors_headers(request);
}

void ApiService::set_ready(bool ready) {
  impl_->context.ready = ready;
}

void ApiService::begin_shutdown() {
  impl_->context.shutting_down = true;
  impl_->context.model.engine.drain();
}

net::HttpResponse ApiService::protocol_error(int status, const std::string& message,
                                             const net::HttpRequest& head) {
  ApiError error{.status = status, .message = message};
  if (status < 500) error.type = "invalid_request_error";
  if (status == 503) error = to_api_error({ErrorCode::kUnavailable, message});
  net::HttpResponse response = impl_->answer_at_edge(error, head);
  if (error.retry_after_s) {
    response.headers.push_back({"Retry-After", std::to_string(*error.retry_after_s)});
  }
  return response;
}

}  // namespace fathom::api
