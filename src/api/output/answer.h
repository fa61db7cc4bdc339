// How the results of a request's generations become its HTTP answer. One implementation for each
// dialect (chat, text completion) and each way (whole, streamed).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/http/api_error.h"
#include "api/output/output_parser.h"
#include "engine/request.h"

namespace fathom::net {
class ResponseWriter;
}

namespace fathom::api {

// Summed over the choices; prompt tokens count once for each prompt.
struct UsageCounts {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;
  int64_t completion_tokens = 0;
  int64_t reasoning_tokens = 0;
};

enum class AnswerEnd { kStop, kLength, kToolCalls };

const char* to_string(AnswerEnd end);  // "stop", "length", "tool_calls"

struct ChoiceEnd {
  AnswerEnd reason = AnswerEnd::kStop;
  std::optional<std::string> stop_string = {};  // the one that ended it
};

// Calls come one at a time: begin() once every request is admitted, then prompt_read(), delta() and
// finish() of the choices in any mixture, then end(). fail() takes the place of whatever would have
// come next.
class Answer {
 public:
  virtual ~Answer() = default;

  // Bytes that each log-probability takes, with all that it is made into, until the answer is sent;
  // none of those that are written as they come.
  virtual size_t bytes_per_logprob() const { return 0; }

  virtual void begin() = 0;
  // Once for each choice, before all else of it: how many tokens of its prompt the cache held.
  virtual void prompt_read(int /*choice*/, int64_t /*cached_tokens*/) {}
  // Of prompt tokens 1, 2, ... in order; before the choice's first delta.
  virtual void prompt_logprobs(int choice, const std::vector<engine::TokenLogprob>& tokens) = 0;
  virtual void delta(int choice, const OutputDelta& delta) = 0;
  virtual void finish(int choice, const ChoiceEnd& end) = 0;
  virtual void end(const UsageCounts& usage) = 0;
  virtual void fail(const ApiError& error) = 0;
};

}  // namespace fathom::api
