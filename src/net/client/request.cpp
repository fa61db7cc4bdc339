#include "net/client/request.h"

#include <algorithm>
#include <string_view>

namespace fathom::net {
namespace {

bool is_target(std::string_view text) {
  return !text.empty() &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

bool is_added(std::string_view name) {
  for (const std::string_view added :
       {"host", "connection", "content-length", "transfer-encoding"}) {
    if (equals_ignoring_case(name, added)) return true;
  }
  return false;
}

bool has_body(const ClientRequest& request) {
  return !request.body.empty() || request.method == "POST" || request.method == "PUT" ||
         request.method == "PATCH";
}

}  // namespace

Status check_request(const ClientRequest& request) {
  if (!is_token(request.method)) {
    return invalid_argument("request: expected a method such as GET", "method");
  }
  if (!is_target(request.url.target)) {
    return invalid_argument("request: expected a target without spaces and line ends", "target");
  }
  for (const Header& header : request.headers) {
    if (!is_token(header.name) ||
        header.value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return invalid_argument("request: expected headers without line ends", "headers");
    }
    if (is_added(header.name)) {
      return invalid_argument(
          "request: expected headers without " + header.name + ", which the client adds",
          "headers");
    }
  }
  return {};
}

std::string render_request_head(const ClientRequest& request, bool keep_alive) {
  std::string text = request.method + " " + request.url.target +
                     " HTTP/1.1\r\nHost: " + request.url.authority() + "\r\n";
  if (!keep_alive) text += "Connection: close\r\n";
  for (const Header& header : request.headers) text += header.name + ": " + header.value + "\r\n";
  if (has_body(request)) {
    text += "Content-Length: " + std::to_string(request.body.size()) + "\r\n";
  }
  return text + "\r\n";
}

}  // namespace fathom::net
