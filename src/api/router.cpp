#include "api/router.h"

namespace fathom::api {

namespace {

struct RouteEntry {
  Route route;
  const char* pattern;
  bool post;
};

constexpr std::string_view kVersionPrefix = "/v1";
constexpr std::string_view kModelPrefix = "/v1/models/";

constexpr RouteEntry kRoutes[] = {
    {Route::kChat, "/v1/chat/completions", true}, {Route::kCompletions, "/v1/completions", true},
    {Route::kModels, "/v1/models", false},        {Route::kTokenize, "/tokenize", true},
    {Route::kDetokenize, "/detokenize", true},    {Route::kHealth, "/health", false},
    {Route::kVersion, "/version", false},         {Route::kMetrics, "/metrics", false},
};

RouteMatch make_match(Route route, const char* pattern, bool post, net::Method method) {
  const bool get = method == net::Method::kGet || method == net::Method::kHead;
  return {route, pattern, post ? "POST" : "GET, HEAD", post ? method == net::Method::kPost : get,
          ""};
}

// The path without a leading /v1, so that every route is found with and without it.
std::string_view unversioned(std::string_view path) {
  const bool versioned = path.starts_with(kVersionPrefix) && path.size() > kVersionPrefix.size() &&
                         path[kVersionPrefix.size()] == '/';
  return versioned ? path.substr(kVersionPrefix.size()) : path;
}

}  // namespace

std::optional<RouteMatch> match_route(net::Method method, std::string_view path) {
  const std::string_view wanted = unversioned(path);
  for (const RouteEntry& entry : kRoutes) {
    if (unversioned(entry.pattern) == wanted) {
      return make_match(entry.route, entry.pattern, entry.post, method);
    }
  }
  const std::string_view prefix = unversioned(kModelPrefix);
  if (!wanted.starts_with(prefix) || wanted.size() == prefix.size()) return {};
  auto name = net::percent_decode(wanted.substr(prefix.size()), false);
  if (!name) return {};
  RouteMatch match = make_match(Route::kModel, "/v1/models/{model}", false, method);
  match.argument = std::move(*name);
  return match;
}

}  // namespace fathom::api
