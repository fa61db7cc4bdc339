#include "net/http_app.h"

#include <fmt/format.h>

#include <iterator>

namespace fathom::net {
namespace {

std::string json_string(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == '"' || byte == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte >= 0x7f) {
      // Protocol errors quote raw bytes, which need not be UTF-8.
      fmt::format_to(std::back_inserter(quoted), "\\u{:04x}", byte);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace

std::optional<HttpResponse> HttpApp::early_answer(const HttpRequest&) {
  return std::nullopt;
}

bool HttpApp::takes_body(const HttpRequest&) const {
  return true;
}

Lane HttpApp::lane(const HttpRequest&) const {
  return Lane::kShort;
}

std::vector<Header> HttpApp::response_headers(const HttpRequest&) const {
  return {};
}

HttpResponse HttpApp::protocol_error(int status, const std::string& message, const HttpRequest&) {
  const char* type = status >= 500 ? "internal_error" : "invalid_request_error";
  HttpResponse response;
  response.status = status;
  response.headers.push_back({"Content-Type", "application/json"});
  response.body =
      fmt::format(R"({{"error":{{"message":{},"type":"{}","param":null,"code":null}}}})",
                  json_string(message), type);
  return response;
}

void HttpApp::client_left(const HttpRequest&) noexcept {}

}  // namespace fathom::net
