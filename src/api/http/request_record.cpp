#include "api/http/request_record.h"

#include <algorithm>
#include <cctype>

#include "api/text/ids.h"
#include "api/text/json_text.h"

namespace fathom::api {

namespace {

constexpr size_t kMaxRequestIdBytes = 128;
constexpr size_t kMaxMethodBytes = 20;

bool is_sane_request_id(const std::string& id) {
  return !id.empty() && id.size() <= kMaxRequestIdBytes &&
         std::all_of(id.begin(), id.end(), [](unsigned char c) {
           return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
         });
}

std::string request_id(const net::HttpRequest& request) {
  const std::string* given = request.header("x-request-id");
  return given != nullptr && is_sane_request_id(*given) ? *given : random_id("req-");
}

}  // namespace

const char* to_string(RequestEnd end) {
  switch (end) {
    case RequestEnd::kStop:
      return "stop";
    case RequestEnd::kLength:
      return "length";
    case RequestEnd::kToolCalls:
      return "tool_calls";
    case RequestEnd::kCancelled:
      return "cancelled";
    case RequestEnd::kError:
      return "error";
  }
  return "?";
}

RequestRecord begin_record(const net::HttpRequest& head, const std::optional<RouteMatch>& match,
                           const std::optional<Caller>& caller) {
  RequestRecord record;
  record.received = head.received;
  record.id = request_id(head);
  if (caller) record.owner = caller->name;
  record.method = shorten(head.method_text, kMaxMethodBytes);
  if (match) {
    record.route = match->route->pattern;
    record.probe = match->route->is_probe;
  }
  return record;
}

void note_error(RequestRecord& record, const ApiError& error) {
  record.finish = RequestEnd::kError;
  record.status = error.status;
  record.error = error.code.value_or("");
}

}  // namespace fathom::api
