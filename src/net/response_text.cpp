#include "net/response_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <iterator>

namespace fathom::net {
namespace {

bool is_ours(std::string_view name) {
  for (const std::string_view reserved :
       {"content-length", "transfer-encoding", "connection", "date", "keep-alive"}) {
    if (equals_ignoring_case(name, reserved)) return true;
  }
  return false;
}

void append_header(std::string& head, const Header& header) {
  if (!is_token(header.name) || is_ours(header.name)) return;
  head += header.name;
  head += ": ";
  std::replace_copy_if(
      header.value.begin(), header.value.end(), std::back_inserter(head),
      [](char c) { return c == '\r' || c == '\n' || c == '\0'; }, ' ');
  head += "\r\n";
}

// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, section 5.6.7), without the locale's names.
void append_date(std::string& head) {
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  gmtime_r(&now, &utc);
  fmt::format_to(std::back_inserter(head), "Date: {}, {:02} {} {:04} {:02}:{:02}:{:02} GMT\r\n",
                 kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                 utc.tm_hour, utc.tm_min, utc.tm_sec);
}

}  // namespace

bool status_has_body(int status) {
  return status >= 200 && status != 204 && status != 304;
}

bool asks_to_close(const HttpResponse& response) {
  const std::string* connection = response.header("connection");
  return connection && equals_ignoring_case(*connection, "close");
}

std::string render_response_head(const HttpResponse& response, const HeadOptions& options) {
  std::string head =
      fmt::format("HTTP/1.1 {} {}\r\n", response.status, reason_phrase(response.status));
  append_date(head);
  for (const Header& header : response.headers) append_header(head, header);
  if (status_has_body(response.status)) {
    if (options.framing == BodyFraming::kContentLength) {
      fmt::format_to(std::back_inserter(head), "Content-Length: {}\r\n", response.body.size());
    } else if (options.framing == BodyFraming::kChunked) {
      head += "Transfer-Encoding: chunked\r\n";
    }
  }
  if (!options.keep_alive) {
    head += "Connection: close\r\n";
  } else if (options.is_http_1_0) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
  return head;
}

}  // namespace fathom::net
