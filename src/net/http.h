// HTTP messages as plain values, shared by the server and the client.
// Source: RFC 9110 (semantics), RFC 9112 (HTTP/1.1).
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fathom::net {

// The methods our APIs route by; every other one is kOther, spelt in HttpRequest::method_text.
enum class Method { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kOther };

// Methods are case-sensitive: "get" is kOther.
Method method_from_text(std::string_view text);

struct Header {
  std::string name;
  std::string value;
};

struct HttpRequest {
  Method method = Method::kOther;
  std::string method_text;  // as sent, "GET"
  std::string target;       // as sent: "/v1/models?limit=2", "http://host/v1/models" or "*"
  std::string path;         // "/v1/models", still percent-encoded, without the query; or "*"
  std::string query;        // "limit=2", still percent-encoded, without the question mark
  std::vector<Header> headers;
  std::string body;  // whole, chunked coding removed
  // Held as long as the body is: what it has of the server's memory for bodies.
  std::shared_ptr<void> body_share = nullptr;
  std::string peer_address;  // "192.0.2.7" or "2001:db8::7", without the port
  // When all of the head was there.
  std::chrono::steady_clock::time_point received = std::chrono::steady_clock::now();

  // Value of the first header with that name, any case; nullptr if there is none.
  const std::string* header(std::string_view name) const;
};

struct HttpResponse {
  int status = 200;
  // Content-Length, Transfer-Encoding, Date and Connection are added when sending; giving
  // "Connection: close" closes the connection after this answer.
  std::vector<Header> headers;
  std::string body;

  const std::string* header(std::string_view name) const;
};

// "Not Found" for 404; "Unknown" for a number without a registered phrase.
std::string_view reason_phrase(int status);

// Whether `text` may be a method or the name of a header. Source: RFC 9110, section 5.6.2.
bool is_token(std::string_view text);

// ASCII only, as header names and tokens are compared.
bool equals_ignoring_case(std::string_view a, std::string_view b);
const std::string* find_header(const std::vector<Header>& headers, std::string_view name);

// Decodes %XX, and '+' as a space if `plus_is_space` (the form encoding of queries). Nothing if a
// '%' is not followed by two hexadecimal digits.
std::optional<std::string> percent_decode(std::string_view text, bool plus_is_space);

// The decoded value of the first parameter of that (decoded) name in "a=1&b=two"; nothing if it is
// absent or badly encoded. A parameter without '=' has the empty value.
std::optional<std::string> query_parameter(std::string_view query, std::string_view name);

}  // namespace fathom::net
