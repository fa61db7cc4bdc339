// Start line and headers of a request or response, with all that decides where its body ends.
// Stricter than RFC 9112 requires: whatever could be read in two ways is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace fathom::net {

struct ProtocolError {
  int status = 400;
  std::string message;
};

struct RequestHead {
  HttpRequest request;  // without body and peer_address
  bool is_http_1_0 = false;
  bool keep_alive = true;
  bool expects_continue = false;
  bool chunked = false;
  std::uint64_t content_length = 0;
};

struct ResponseHead {
  HttpResponse response;    // without body
  bool keep_alive = false;  // another request may follow on the connection
  bool chunked = false;
  std::optional<std::uint64_t> content_length;
};

// `head` is what HeadScanner found. The first error, or nothing and a filled `result`.
std::optional<ProtocolError> parse_request_head(std::string_view head, RequestHead& result);
// What can be told of a request whose head is wrong or not all there: path and headers up to the
// first line that is odd. For wording the error only.
HttpRequest glimpse_request(std::string_view text);
std::optional<ProtocolError> parse_response_head(std::string_view head, ResponseHead& result);

}  // namespace fathom::net
