#include "api/http/edge.h"

#include <algorithm>

#include "api/text/json_text.h"

namespace fathom::api {
namespace {

// For an unknown path, so that a page may read the 404.
const std::string kAnyMethods = "GET, HEAD, POST, DELETE";
// Headers that SDKs send by default.
constexpr const char* kRequestHeaders = "Authorization, Content-Type, X-Api-Key, X-Request-Id";
constexpr const char* kExposedHeaders =
    "X-Request-Id, Retry-After, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, "
    "X-RateLimit-Reset-Requests, X-Fathom-Warning";
constexpr const char* kPreflightSeconds = "600";

// "localhost" of "localhost:8000", "[::1]" of "[::1]:8000".
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

bool is_loopback_v4(std::string_view host) {
  return host.starts_with("127.") && host.find_first_not_of("0123456789.") == host.npos;
}

// What follows "https://" in an origin; all of it where that has no scheme ("null").
std::string_view authority_of(std::string_view origin) {
  const std::size_t scheme_end = origin.find("://");
  return scheme_end == origin.npos ? origin : origin.substr(scheme_end + 3);
}

bool only_reads(net::Method method) {
  return method == net::Method::kGet || method == net::Method::kHead ||
         method == net::Method::kOptions;
}

ApiError forbidden(std::string message, const char* code) {
  return {.status = 403, .message = std::move(message), .type = "permission_error", .code = code};
}

// The key of "Bearer KEY"; the scheme's case does not matter.
std::optional<std::string_view> bearer_key(std::string_view value) {
  constexpr std::string_view kScheme = "Bearer ";
  if (value.size() < kScheme.size() ||
      !net::equals_ignoring_case(value.substr(0, kScheme.size()), kScheme)) {
    return std::nullopt;
  }
  value.remove_prefix(kScheme.size());
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  return value;
}

std::optional<std::string_view> key_of(const net::HttpRequest& head) {
  if (const std::string* value = head.header("authorization")) return bearer_key(*value);
  if (const std::string* value = head.header("x-api-key")) return *value;
  return std::nullopt;
}

}  // namespace

bool Edge::needs_no_key(const net::HttpRequest& head) const {
  const auto match = router_.match(head);
  return match && match->route->is_public;
}

bool Edge::host_is_ours(const net::HttpRequest& head) const {
  const std::string* value = head.header("host");
  if (value == nullptr) return true;  // HTTP/1.0, which no browser speaks
  const std::string_view host = without_port(*value);
  if (is_loopback_v4(host) || host == "[::1]") return true;
  if (!host.starts_with('[') && host.find('.') == host.npos) return true;
  return std::ranges::any_of(options_.hosts, [&](const std::string& known) {
    return net::equals_ignoring_case(known, host);
  });
}

bool Edge::lists_origin(const std::string& origin) const {
  const auto& allowed = options_.cors_origins;
  return std::ranges::any_of(
      allowed, [&](const std::string& each) { return each == "*" || each == origin; });
}

// A page of this server, of an origin that is listed, or no page at all.
bool Edge::origin_may_ask(const net::HttpRequest& head) const {
  const std::string* origin = head.header("origin");
  if (origin != nullptr) {
    const std::string* host = head.header("host");
    return lists_origin(*origin) ||
           (host != nullptr && net::equals_ignoring_case(authority_of(*origin), *host));
  }
  const std::string* site = head.header("sec-fetch-site");
  return site == nullptr || *site == "same-origin" || *site == "none";
}

std::optional<Caller> Edge::caller(const net::HttpRequest& head) const {
  if (options_.keys == nullptr || needs_no_key(head)) return Caller();
  const auto key = key_of(head);
  return key ? options_.keys->find(*key) : std::nullopt;
}

std::optional<ApiError> Edge::refusal(const net::HttpRequest& head) const {
  if (options_.checks_host && !host_is_ours(head)) {
    return forbidden("Host: expected this machine's or one of --allowed-host, got " +
                         shorten(*head.header("host"), 100),
                     "host_not_allowed");
  }
  if (options_.keys == nullptr) {
    if (only_reads(head.method) || origin_may_ask(head)) return std::nullopt;
    return forbidden("Origin: expected this server's or one of --cors-origin, got another page's",
                     "origin_not_allowed");
  }
  if (caller(head)) return std::nullopt;
  return ApiError{.status = 401,
                  .message = key_of(head)
                                 ? "Incorrect API key provided"
                                 : "expected an API key as \"Authorization: Bearer KEY\" or "
                                   "\"x-api-key: KEY\", got none",
                  .type = "authentication_error",
                  .code = "invalid_api_key"};
}

bool Edge::is_preflight(const net::HttpRequest& head) const {
  return !options_.cors_origins.empty() && head.method == net::Method::kOptions &&
         head.header("origin") != nullptr &&
         head.header("access-control-request-method") != nullptr;
}

net::HttpResponse Edge::preflight(const net::HttpRequest& head) const {
  net::HttpResponse response{204, cors_headers(head), ""};
  if (response.headers.size() < 2) return response;  // the origin is not allowed
  const std::string* wanted = head.header("access-control-request-headers");
  const auto match = router_.match(head);
  response.headers.push_back(
      {"Access-Control-Allow-Methods", (match ? match->allow : kAnyMethods) + ", OPTIONS"});
  response.headers.push_back(
      {"Access-Control-Allow-Headers", wanted != nullptr ? *wanted : kRequestHeaders});
  response.headers.push_back({"Access-Control-Max-Age", kPreflightSeconds});
  return response;
}

std::vector<net::Header> Edge::cors_headers(const net::HttpRequest& head) const {
  const auto& allowed = options_.cors_origins;
  if (allowed.empty()) return {};
  const bool all = std::ranges::find(allowed, "*") != allowed.end();
  const std::string* origin = head.header("origin");
  std::vector<net::Header> headers;
  if (!all) headers.push_back({"Vary", "Origin"});
  if (origin == nullptr) return headers;
  if (!lists_origin(*origin)) return headers;
  headers.push_back({"Access-Control-Allow-Origin", all ? "*" : *origin});
  headers.push_back({"Access-Control-Expose-Headers", kExposedHeaders});
  return headers;
}

}  // namespace fathom::api
