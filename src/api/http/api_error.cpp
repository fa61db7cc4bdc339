#include "api/http/api_error.h"

#include <nlohmann/json.hpp>

#include "api/text/json_text.h"

namespace fathom::api {

namespace {

constexpr int kRetryAfterDrainingSeconds = 5;

// Clients of Anthropic's API shorten a conversation when the error says that it is too long.
std::string anthropic_message(const ApiError& error) {
  const bool too_long = error.code == "context_length_exceeded";
  return too_long ? "prompt is too long: " + error.message : error.message;
}

Json nullable(const std::optional<std::string>& text) {
  return text ? Json(*text) : Json(nullptr);
}

const char* anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 402:
      return "billing_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

}  // namespace

ApiError to_api_error(const Error& error) {
  ApiError answer;
  answer.message = error.message;
  if (!error.where.empty()) answer.param = error.where;
  switch (error.code) {
    case ErrorCode::kInvalidArgument:
      answer.status = 400;
      answer.type = "invalid_request_error";
      break;
    case ErrorCode::kUnsupported:
      answer.status = 400;
      answer.type = "invalid_request_error";
      answer.code = "unsupported";
      break;
    case ErrorCode::kNotFound:
      answer.status = 404;
      answer.type = "invalid_request_error";
      answer.code = "not_found";
      break;
    case ErrorCode::kResourceExhausted:
      answer.status = 429;
      answer.type = "rate_limit_error";
      answer.code = "queue_full";
      answer.retry_after_s = kRetryAfterBusySeconds;
      break;
    case ErrorCode::kUnavailable:
      answer.status = 503;
      answer.type = "service_unavailable_error";
      answer.code = "unavailable";
      answer.retry_after_s = kRetryAfterDrainingSeconds;
      break;
    default:
      break;
  }
  return answer;
}

ApiError model_not_found(const std::string& model) {
  return {.status = 404,
          .message = "The model `" + shorten(model, 100) + "` does not exist",
          .type = "invalid_request_error",
          .param = "model",
          .code = "model_not_found"};
}

std::string error_body(const ApiError& error, ErrorShape shape) {
  if (shape == ErrorShape::kAnthropic) {
    return dump_json(
        {{"type", "error"},
         {"error",
          {{"type", anthropic_type(error.status)}, {"message", anthropic_message(error)}}}});
  }
  return dump_json({{"error",
                     {{"message", error.message},
                      {"type", error.type},
                      {"param", nullable(error.param)},
                      {"code", nullable(error.code)}}}});
}

}  // namespace fathom::api
