#include "api/router.h"

namespace fathom::api {

namespace {

using net::Method;

// The path without a leading /v1, /beta or /beta/v1.
std::string_view bare(std::string_view path) {
  for (const std::string_view prefix : {"/beta", "/v1"}) {
    if (path.starts_with(prefix) && path.size() > prefix.size() && path[prefix.size()] == '/') {
      path.remove_prefix(prefix.size());
    }
  }
  return path;
}

// As DeepSeek's base URL for Anthropic's clients ends.
constexpr std::string_view kAnthropicPrefix = "/anthropic";

// "/v1//models/" -> "/v1/models".
std::string without_idle_slashes(std::string_view path) {
  std::string tidy;
  tidy.reserve(path.size());
  for (const char c : path) {
    if (c != '/' || !tidy.ends_with('/')) tidy += c;
  }
  if (tidy.size() > 1 && tidy.ends_with('/')) tidy.pop_back();
  return tidy;
}

// What stands for the part in braces ("" if the pattern has none); nothing if the path differs.
std::optional<std::string_view> match_pattern(std::string_view pattern, std::string_view path) {
  const size_t open = pattern.find('{');
  if (open == pattern.npos) {
    return path == pattern ? std::optional<std::string_view>("") : std::nullopt;
  }
  const std::string_view begin = pattern.substr(0, open);
  const std::string_view end = pattern.substr(pattern.find('}') + 1);
  const bool fits =
      path.size() > begin.size() + end.size() && path.starts_with(begin) && path.ends_with(end);
  if (!fits) return {};
  return path.substr(begin.size(), path.size() - begin.size() - end.size());
}

const char* methods_of(Method method) {
  if (method == Method::kGet) return "GET, HEAD";
  return method == Method::kPost ? "POST" : "DELETE";
}

}  // namespace

ErrorShape error_shape(Route route) {
  const bool messages = route == Route::kMessages || route == Route::kMessageCount;
  return messages ? ErrorShape::kAnthropic : ErrorShape::kOpenAi;
}

bool is_probe(Route route) {
  return route == Route::kHealth || route == Route::kPing || route == Route::kVersion ||
         route == Route::kMetrics;
}

bool is_public(Route route) {
  return route == Route::kHome || route == Route::kHealth || route == Route::kPing ||
         route == Route::kVersion;
}

bool takes_body(Route route) {
  for (const RouteEntry& entry : route_table()) {
    if (entry.route == route) return entry.method == Method::kPost;
  }
  return true;
}

const std::vector<RouteEntry>& route_table() {
  // Of patterns that fit the same path, the more exact ones come first.
  static const std::vector<RouteEntry> routes = {
      {Route::kChat, Method::kPost, "/v1/chat/completions", "Answer a conversation"},
      {Route::kCompletions, Method::kPost, "/v1/completions", "Continue a text"},
      {Route::kResponses, Method::kPost, "/v1/responses", "Answer, as items"},
      {Route::kResponseInputTokens, Method::kPost, "/v1/responses/input_tokens",
       "Count the tokens of a response's prompt"},
      {Route::kResponseCancel, Method::kPost, "/v1/responses/{response_id}/cancel",
       "Cancel a background response"},
      {Route::kResponseInputItems, Method::kGet, "/v1/responses/{response_id}/input_items",
       "List what a stored response answers"},
      {Route::kResponseGet, Method::kGet, "/v1/responses/{response_id}", "Get a stored response"},
      {Route::kResponseDelete, Method::kDelete, "/v1/responses/{response_id}",
       "Forget a stored response"},
      {Route::kMessages, Method::kPost, "/v1/messages", "Answer a conversation (Anthropic)"},
      {Route::kMessageCount, Method::kPost, "/v1/messages/count_tokens",
       "Count the tokens of a conversation (Anthropic)"},
      {Route::kModels, Method::kGet, "/v1/models", "List the names of the model"},
      {Route::kModel, Method::kGet, "/v1/models/{model}", "Find a model by name"},
      {Route::kTokenize, Method::kPost, "/tokenize", "Turn text or a conversation into tokens"},
      {Route::kDetokenize, Method::kPost, "/detokenize", "Turn tokens into text"},
      {Route::kHome, Method::kGet, "/", "What this server is, for a browser"},
      {Route::kHealth, Method::kGet, "/health", "Whether the server takes work"},
      {Route::kPing, Method::kGet, "/ping", "The same, as SageMaker asks"},
      {Route::kVersion, Method::kGet, "/version", "The server's version"},
      {Route::kMetrics, Method::kGet, "/metrics", "Metrics for Prometheus"},
      {Route::kOpenApi, Method::kGet, "/openapi.json", "This description"},
  };
  return routes;
}

std::optional<RouteMatch> match_route(Method method, std::string_view path) {
  if (method == Method::kHead) method = Method::kGet;
  const std::string tidy = without_idle_slashes(path);
  path = tidy;
  const bool anthropic =
      path.starts_with(kAnthropicPrefix) && path.substr(kAnthropicPrefix.size()).starts_with('/');
  if (anthropic) path.remove_prefix(kAnthropicPrefix.size());
  const std::string_view wanted = bare(path);
  std::optional<RouteMatch> match;
  for (const RouteEntry& entry : route_table()) {
    if (anthropic && error_shape(entry.route) != ErrorShape::kAnthropic) continue;
    // Methods are only gathered from entries of one pattern.
    if (match && std::string_view(match->pattern) != entry.pattern) continue;
    const auto argument = match_pattern(bare(entry.pattern), wanted);
    if (!argument) continue;
    auto decoded = net::percent_decode(*argument, false);
    if (!decoded) continue;
    const std::string allow = (match ? match->allow + ", " : "") + methods_of(entry.method);
    if (!match || entry.method == method) {
      match = {
          entry.route,        entry.pattern, "", entry.method == method, error_shape(entry.route),
          std::move(*decoded)};
    }
    match->allow = allow;
  }
  return match;
}

}  // namespace fathom::api
