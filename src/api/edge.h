// What is decided about a request by its head alone, before its body is read: whether it carries a
// key, and what pages of other origins may do with the answer (CORS; WHATWG Fetch, section 3.2).
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/api_error.h"
#include "api/api_keys.h"
#include "net/http.h"

namespace fathom::api {

struct EdgeOptions {
  std::shared_ptr<const ApiKeys> keys;  // null: everyone may ask
  // "https://app.example", as browsers send it; "*" is every origin. None: no CORS headers.
  std::vector<std::string> cors_origins;
};

class Edge {
 public:
  explicit Edge(EdgeOptions options) : options_(std::move(options)) {}

  // Whether this is a browser asking what it may send, which needs no key.
  bool is_preflight(const net::HttpRequest& head) const;
  // The answer to that.
  net::HttpResponse preflight(const net::HttpRequest& head) const;

  // Why the request is refused; nothing where its key is right or none is needed. Liveness
  // (/health) never needs one. Keys come as "Authorization: Bearer KEY" or as "x-api-key: KEY".
  std::optional<ApiError> refusal(const net::HttpRequest& head) const;

  // For every answer to that request.
  std::vector<net::Header> cors_headers(const net::HttpRequest& head) const;

 private:
  EdgeOptions options_;
};

}  // namespace fathom::api
