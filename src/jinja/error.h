// Failures inside the Jinja interpreter. They travel as one exception type that never leaves the
// interpreter: ChatTemplate turns it into an Error.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace fathom::jinja {

struct Failure {
  ErrorCode code;
  std::string message;
  int line;  // in the template, counted from 1; 0 while not known

  Error to_error() const {
    const std::string place = line > 0 ? "chat template line " + std::to_string(line) + ": "
                                       : std::string("chat template: ");
    return {code, place + message};
  }
};

[[noreturn]] inline void fail(std::string message, int line = 0) {
  throw Failure{ErrorCode::kInvalidArgument, std::move(message), line};
}

[[noreturn]] inline void fail_limit(std::string message) {
  throw Failure{ErrorCode::kResourceExhausted, std::move(message), 0};
}

}  // namespace fathom::jinja
