// Which route a request is for.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/http/route.h"
#include "net/http.h"

namespace fathom::api {

struct RouteMatch {
  const Route* route;
  std::string allow;     // the methods of this path, as the Allow header lists them
  bool allowed;          // whether the request's method is one of them
  std::string argument;  // what stands for the part in braces, decoded
};

class Router {
 public:
  // Of patterns that fit the same path, the more exact ones come first.
  explicit Router(std::vector<Route> routes) : routes_(std::move(routes)) {}

  const std::vector<Route>& routes() const { return routes_; }

  // Nothing if no route has that path. Routes under /v1 are also found without it, as DeepSeek's
  // base URL has none, and under /beta; Anthropic's also under /anthropic. Trailing and repeated
  // slashes are ignored, for clients build paths from base URLs with and without a trailing
  // slash.
  std::optional<RouteMatch> match(net::Method method, std::string_view path) const;
  std::optional<RouteMatch> match(const net::HttpRequest& head) const {
    return match(head.method, head.path);
  }

 private:
  std::vector<Route> routes_;
};

}  // namespace fathom::api
