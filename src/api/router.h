// Which route a request is for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/api_error.h"
#include "net/http.h"

namespace fathom::api {

enum class Route {
  kChat,
  kCompletions,
  kResponses,
  kResponseInputTokens,
  kResponseGet,
  kResponseDelete,
  kResponseCancel,
  kResponseInputItems,
  kMessages,
  kMessageCount,
  kModels,
  kModel,
  kTokenize,
  kDetokenize,
  kHome,
  kHealth,
  kPing,
  kVersion,
  kMetrics,
  kOpenApi,
};

struct RouteEntry {
  Route route;
  net::Method method;   // kGet stands for HEAD, too
  const char* pattern;  // "/v1/models/{model}"
  const char* summary;
};

// Every route there is. Each with /v1 is also found without it, as DeepSeek's base URL has none,
// and under /beta; Anthropic's also under /anthropic. Slashes at the end of a path, and more than
// one in a row, mean nothing: clients join them from base URLs with and without a slash.
const std::vector<RouteEntry>& route_table();

// As clients of a route expect errors.
ErrorShape error_shape(Route route);

struct RouteMatch {
  Route route;
  const char* pattern;  // for metrics and the log
  std::string allow;    // the methods of this path, as the Allow header lists them
  bool allowed;         // whether the request's method is one of them
  ErrorShape errors;
  std::string argument;  // what stands for the part in braces, decoded
};

// Whether machines ask it all the time, to learn how the server is.
bool is_probe(Route route);
// Whether it needs no key where there are keys. Such a route tells nothing that is not everybody's.
bool is_public(Route route);

// Whether the request of that route has a body to read.
bool takes_body(Route route);

// Nothing if no route has that path.
std::optional<RouteMatch> match_route(net::Method method, std::string_view path);

}  // namespace fathom::api
