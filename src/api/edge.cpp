#include "api/edge.h"

#include <algorithm>

namespace fathom::api {
namespace {

constexpr const char* kMethods = "GET, HEAD, POST, OPTIONS";
// What SDKs send when nothing is asked for.
constexpr const char* kRequestHeaders = "Authorization, Content-Type, X-Api-Key, X-Request-Id";
constexpr const char* kExposedHeaders =
    "X-Request-Id, Retry-After, X-RateLimit-Limit-Requests, X-RateLimit-Remaining-Requests, "
    "X-RateLimit-Reset-Requests";
constexpr const char* kPreflightSeconds = "600";

bool is_liveness(std::string_view path) {
  return path == "/health" || path == "/v1/health";
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

std::optional<ApiError> Edge::refusal(const net::HttpRequest& head) const {
  if (options_.keys == nullptr || is_liveness(head.path)) return std::nullopt;
  const auto key = key_of(head);
  if (key && options_.keys->accepts(*key)) return std::nullopt;
  return ApiError{.status = 401,
                  .message = key ? "Incorrect API key provided"
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
  if (response.headers.size() < 2) return response;  // an origin that may not ask
  const std::string* wanted = head.header("access-control-request-headers");
  response.headers.push_back({"Access-Control-Allow-Methods", kMethods});
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
  if (!all && std::ranges::find(allowed, *origin) == allowed.end()) return headers;
  headers.push_back({"Access-Control-Allow-Origin", all ? "*" : *origin});
  headers.push_back({"Access-Control-Expose-Headers", kExposedHeaders});
  return headers;
}

}  // namespace fathom::api
