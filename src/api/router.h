// Which route a request is for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace fathom::api {

enum class Route {
  kChat,
  kCompletions,
  kModels,
  kModel,
  kTokenize,
  kDetokenize,
  kHealth,
  kVersion,
  kMetrics,
};

struct RouteMatch {
  Route route;
  const char* pattern;   // "/v1/models/{model}", for metrics
  const char* allow;     // the methods it has, as the Allow header lists them
  bool allowed;          // whether the request's method is one of them
  std::string argument;  // what stands for {model}, decoded
};

// Nothing if no route has that path.
std::optional<RouteMatch> match_route(net::Method method, std::string_view path);

}  // namespace fathom::api
