#include "api/http/router.h"

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

std::optional<RouteMatch> Router::match(Method method, std::string_view path) const {
  if (method == Method::kHead) method = Method::kGet;
  const std::string tidy = without_idle_slashes(path);
  path = tidy;
  const bool anthropic =
      path.starts_with(kAnthropicPrefix) && path.substr(kAnthropicPrefix.size()).starts_with('/');
  if (anthropic) path.remove_prefix(kAnthropicPrefix.size());
  const std::string_view wanted = bare(path);
  std::optional<RouteMatch> match;
  for (const Route& route : routes_) {
    if (anthropic && route.errors != ErrorShape::kAnthropic) continue;
    // Methods are only gathered from routes of one pattern.
    if (match && std::string_view(match->route->pattern) != route.pattern) continue;
    const auto argument = match_pattern(bare(route.pattern), wanted);
    if (!argument) continue;
    auto decoded = net::percent_decode(*argument, false);
    if (!decoded) continue;
    const std::string allow = (match ? match->allow + ", " : "") + methods_of(route.method);
    if (!match || route.method == method) {
      match = {&route, "", route.method == method, std::move(*decoded)};
    }
    match->allow = allow;
  }
  return match;
}

}  // namespace fathom::api
