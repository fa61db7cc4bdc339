// All that is known of one request at its end: for the log, its owner's metrics, and billing. It is
// created with the request and filled in along the way; request_log.h takes it once, at the
// end.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "api/http/api_error.h"
#include "api/http/caller.h"
#include "api/http/router.h"
#include "net/http.h"

namespace fathom::api {

enum class RequestEnd { kStop, kLength, kToolCalls, kCancelled, kError };

const char* to_string(RequestEnd end);  // "stop", "length", "tool_calls", "cancelled", "error"

// Of a request whose client left before its answer began, as nginx has it.
inline constexpr int kClientLeftStatus = 499;

struct RequestRecord {
  std::chrono::steady_clock::time_point received = std::chrono::steady_clock::now();
  std::string id;               // as x-request-id has it
  std::string owner;            // the name of the key's owner; "": no key, or none that is known
  std::string method;           // as sent
  const char* route = "other";  // the pattern
  bool probe = false;           // a health check or the like, which machines send all the time
  std::string model;            // the name that was asked for; "" where none was
  // Prompt tokens count once the prompt was read, for each prompt once; answer tokens for each
  // choice.
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;  // of those, found in the prefix cache
  int64_t answer_tokens = 0;
  std::optional<double> first_token_seconds = {};  // since `received`
  std::optional<RequestEnd> finish = {};           // nothing: answered without the model
  int status = 0;
  std::string error;  // the code of what was refused or failed; "" where it has none
  // Only where they are wanted: what the model read and wrote, of the first choice, as far as
  // kMaxTextBytes go.
  std::optional<std::string> prompt = {};
  std::optional<std::string> answer = {};
};

inline constexpr size_t kMaxTextBytes = 8192;

// What its head tells of a request: `match` is its route, `caller` who asks, as far as known.
RequestRecord begin_record(const net::HttpRequest& head, const std::optional<RouteMatch>& match,
                           const std::optional<Caller>& caller);

// The answer is an error.
void note_error(RequestRecord& record, const ApiError& error);

}  // namespace fathom::api
