// What a client sends, and the time each part of a call may take.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http.h"
#include "net/url.h"

namespace fathom::net {

struct ClientRequest {
  Url url;
  std::string method = "GET";
  // Without Host, Connection, Content-Length and Transfer-Encoding, which are added.
  std::vector<Header> headers;
  std::string body;

  // Until the connection is there: its place in the pool, the address, TCP and TLS.
  std::chrono::milliseconds connect_timeout{10'000};
  // From then until the head of the answer has come, sending included.
  std::chrono::milliseconds head_timeout{60'000};
  // The longest silence within the answer's body.
  std::chrono::milliseconds silence_timeout{60'000};
  // From the head of the answer to the end of its body.
  std::chrono::milliseconds body_timeout = std::chrono::hours(24);
  // whole() and request() refuse longer bodies.
  std::size_t max_body_bytes = 64 * 1024 * 1024;
};

// kInvalidArgument for text that would inject a header or request, or contradict the framing.
Status check_request(const ClientRequest& request);

// Request line, headers and the empty line; `keep_alive` false asks the server to close.
std::string render_request_head(const ClientRequest& request, bool keep_alive);

}  // namespace fathom::net
