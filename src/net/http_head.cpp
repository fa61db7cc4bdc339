#include "net/http_head.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <charconv>

namespace fathom::net {
namespace {

namespace http = boost::beast::http;

constexpr std::size_t kMaxHeaders = 256;

std::string to_string(boost::beast::string_view text) {
  return {text.data(), text.size()};
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Whether the first line ends as " HTTP/2.0" would: well-formed, but no version of ours.
bool names_another_version(std::string_view head) {
  constexpr std::string_view kPattern = " HTTP/d.d";
  const std::string_view line = head.substr(0, head.find('\r'));
  if (line.size() < kPattern.size()) return false;
  const std::string_view version = line.substr(line.size() - kPattern.size());
  return version.starts_with(" HTTP/") && is_digit(version[6]) && version[7] == '.' &&
         is_digit(version[8]) && version != " HTTP/1.0" && version != " HTTP/1.1";
}

template <typename Parser>
std::optional<ProtocolError> run_parser(Parser& parser, std::string_view head) {
  // The caller has limited the head's size; Beast's own limits would only differ by a few bytes.
  parser.header_limit(UINT32_MAX);
  parser.body_limit(boost::none);
  parser.eager(false);
  boost::beast::error_code error;
  parser.put(boost::asio::buffer(head.data(), head.size()), error);
  if (error && names_another_version(head)) {
    return ProtocolError{505, "expected HTTP/1.0 or HTTP/1.1"};
  }
  if (error) return ProtocolError{400, "malformed HTTP message: " + error.message()};
  if (!parser.is_header_done()) return ProtocolError{400, "malformed HTTP message: incomplete"};
  return std::nullopt;
}

template <typename Fields>
std::vector<Header> copy_headers(const Fields& fields) {
  std::vector<Header> headers;
  for (const auto& field : fields) {
    headers.push_back({to_string(field.name_string()), to_string(field.value())});
  }
  return headers;
}

std::size_t count_headers(const std::vector<Header>& headers, std::string_view name) {
  return static_cast<std::size_t>(
      std::count_if(headers.begin(), headers.end(),
                    [&](const Header& header) { return equals_ignoring_case(header.name, name); }));
}

// How the body ends, from Content-Length and Transfer-Encoding.
std::optional<ProtocolError> read_framing(const std::vector<Header>& headers, bool& chunked,
                                          std::optional<std::uint64_t>& content_length) {
  const std::string* length = find_header(headers, "content-length");
  const std::string* coding = find_header(headers, "transfer-encoding");
  if (length && coding) {
    return ProtocolError{400, "expected either Content-Length or Transfer-Encoding, got both"};
  }
  if (count_headers(headers, "content-length") > 1) {
    return ProtocolError{400, "expected one Content-Length, got several"};
  }
  if (count_headers(headers, "transfer-encoding") > 1) {
    return ProtocolError{400, "expected one Transfer-Encoding, got several"};
  }
  if (coding && !equals_ignoring_case(*coding, "chunked")) {
    return ProtocolError{501, "Transfer-Encoding: expected chunked, got " + *coding};
  }
  chunked = coding != nullptr;
  if (!length) return std::nullopt;
  std::uint64_t value = 0;
  const char* const end = length->data() + length->size();
  const auto [digits_end, error] = std::from_chars(length->data(), end, value);
  if (length->empty() || error != std::errc() || digits_end != end) {
    return ProtocolError{400, "Content-Length: expected a number of bytes, got " + *length};
  }
  content_length = value;
  return std::nullopt;
}

std::optional<ProtocolError> split_target(HttpRequest& request) {
  const ProtocolError bad_target{400, "request target: expected a path such as /v1/models"};
  std::string_view target = request.target;
  if (!std::all_of(target.begin(), target.end(),
                   [](char c) { return c > ' ' && c < 0x7f && c != '#'; })) {
    return bad_target;
  }
  if (target == "*" && request.method == Method::kOptions) {
    request.path = "*";
    return std::nullopt;
  }
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (!equals_ignoring_case(target.substr(0, scheme.size()), scheme)) continue;
    target.remove_prefix(scheme.size());
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    if (!target.starts_with('/')) {
      request.path = "/";
      request.query = target.empty() ? "" : target.substr(1);
      return std::nullopt;
    }
    break;
  }
  if (!target.starts_with('/')) return bad_target;
  const std::size_t question_mark = std::min(target.find('?'), target.size());
  request.path = target.substr(0, question_mark);
  request.query = target.substr(std::min(question_mark + 1, target.size()));
  return std::nullopt;
}

std::optional<ProtocolError> read_expectation(RequestHead& head) {
  const std::string* expect = head.request.header("expect");
  if (!expect || head.is_http_1_0) return std::nullopt;
  if (!equals_ignoring_case(*expect, "100-continue")) {
    return ProtocolError{417, "Expect: expected 100-continue, got " + *expect};
  }
  head.expects_continue = true;
  return std::nullopt;
}

}  // namespace

std::optional<ProtocolError> parse_request_head(std::string_view text, RequestHead& head) {
  http::request_parser<http::empty_body> parser;
  if (auto error = run_parser(parser, text)) return error;
  const auto& message = parser.get();

  HttpRequest& request = head.request;
  request.method_text = to_string(message.method_string());
  request.method = method_from_text(request.method_text);
  request.target = to_string(message.target());
  request.headers = copy_headers(message);
  head.is_http_1_0 = message.version() == 10;
  head.keep_alive = parser.keep_alive();

  if (request.headers.size() > kMaxHeaders) {
    return ProtocolError{431, "expected at most " + std::to_string(kMaxHeaders) + " headers"};
  }
  if (request.method_text == "CONNECT") return ProtocolError{501, "CONNECT is not supported"};
  if (auto error = split_target(request)) return error;
  const std::size_t hosts = count_headers(request.headers, "host");
  if (hosts > 1 || (hosts == 0 && !head.is_http_1_0)) {
    return ProtocolError{400, "expected one Host header, got " + std::to_string(hosts)};
  }
  std::optional<std::uint64_t> length;
  if (auto error = read_framing(request.headers, head.chunked, length)) return error;
  if (head.chunked && head.is_http_1_0) {
    return ProtocolError{400, "Transfer-Encoding: expected HTTP/1.1, got HTTP/1.0"};
  }
  head.content_length = length.value_or(0);
  return read_expectation(head);
}

HttpRequest glimpse_request(std::string_view text) {
  HttpRequest request;
  const auto next_line = [&text]() -> std::optional<std::string_view> {
    const size_t end = text.find("\r\n");
    if (end == text.npos) return {};
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end + 2);
    return line;
  };
  const auto first = next_line();
  if (!first) return request;
  const size_t method_end = first->find(' ');
  const size_t target_end = first->rfind(' ');
  if (method_end == first->npos || target_end <= method_end) return request;
  request.method_text = first->substr(0, method_end);
  request.method = method_from_text(request.method_text);
  request.target = first->substr(method_end + 1, target_end - method_end - 1);
  if (split_target(request)) return HttpRequest();
  while (const auto line = next_line()) {
    const size_t colon = line->find(':');
    if (colon == line->npos || colon == 0 || request.headers.size() == kMaxHeaders) break;
    std::string_view value = line->substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    request.headers.push_back({std::string(line->substr(0, colon)), std::string(value)});
  }
  return request;
}

std::optional<ProtocolError> parse_response_head(std::string_view text, ResponseHead& head) {
  http::response_parser<http::empty_body> parser;
  if (auto error = run_parser(parser, text)) return error;
  const auto& message = parser.get();
  head.response.status = static_cast<int>(message.result_int());
  head.response.headers = copy_headers(message);
  head.keep_alive = message.keep_alive();
  return read_framing(head.response.headers, head.chunked, head.content_length);
}

}  // namespace fathom::net
