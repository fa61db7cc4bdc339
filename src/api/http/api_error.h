// Errors as a client of the OpenAI API expects them:
//   {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}
// or one of Anthropic's:
//   {"type": "error", "error": {"type": ..., "message": ...}}
#pragma once

#include <optional>
#include <string>

#include "base/result.h"

namespace fathom::api {

inline constexpr int kRetryAfterBusySeconds = 1;  // of a full queue

struct ApiError {
  int status = 500;
  std::string message;
  std::string type = "server_error";
  std::optional<std::string> param = {};  // path of the field at fault: "messages[2].content"
  std::optional<std::string> code = {};   // "context_length_exceeded", "model_not_found", ...
  std::optional<int> retry_after_s = {};
};

// A Result's error as an answer: 400 for what the request has wrong, 404, 429 (queue full) and 503
// (draining) with a time to wait, else 500.
ApiError to_api_error(const Error& error);

ApiError model_not_found(const std::string& model);

enum class ErrorShape { kOpenAi, kAnthropic };

// The body; also the data of an error event within a stream.
std::string error_body(const ApiError& error, ErrorShape shape = ErrorShape::kOpenAi);

}  // namespace fathom::api
