// What is decided about a request by its head alone, before its body is read: whether it is for
// this server, whether it carries a key, and what pages of other origins may do (CORS; WHATWG
// Fetch, section 3.2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/http/api_error.h"
#include "api/http/api_keys.h"
#include "api/http/router.h"
#include "net/http.h"

namespace fathom::api {

struct EdgeOptions {
  std::shared_ptr<const ApiKeys> keys;  // null: everyone may ask
  // "https://app.example", as browsers send it; "*" is every origin. None: no CORS headers.
  std::vector<std::string> cors_origins;
  // Whether Host must be one of hosts, or this machine's: localhost, 127.x, [::1], or a name
  // without a dot, which no page of the internet can have. So no page gets in by a name of its own
  // that leads to this machine (DNS rebinding).
  bool checks_host = false;
  std::vector<std::string> hosts = {};  // names or addresses without a port, any case
};

class Edge {
 public:
  // `router` must outlive the edge.
  Edge(EdgeOptions options, const Router& router) : options_(std::move(options)), router_(router) {}

  // Whether this is a browser asking what it may send, which needs no key.
  bool is_preflight(const net::HttpRequest& head) const;
  // The answer to that.
  net::HttpResponse preflight(const net::HttpRequest& head) const;

  // Why the request is refused; nothing if it is allowed. 403: its Host is not ours, or there are
  // no keys and a page of an origin that is not allowed would have the server do something
  // (whatever is not GET, HEAD or OPTIONS), which browsers let any page ask for. 401: it needs a
  // key and has none that is right; public routes (route.h) need none. Keys come as
  // "Authorization: Bearer KEY" or as "x-api-key: KEY".
  std::optional<ApiError> refusal(const net::HttpRequest& head) const;
  // Who asks; nothing where refusal() has something to say of the key.
  std::optional<Caller> caller(const net::HttpRequest& head) const;

  // For every answer to that request.
  std::vector<net::Header> cors_headers(const net::HttpRequest& head) const;

 private:
  bool needs_no_key(const net::HttpRequest& head) const;
  bool host_is_ours(const net::HttpRequest& head) const;
  bool origin_may_ask(const net::HttpRequest& head) const;
  bool lists_origin(const std::string& origin) const;

  EdgeOptions options_;
  const Router& router_;
};

}  // namespace fathom::api
