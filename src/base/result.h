// Errors as values. Result<T> is for anything a user, a file, a peer or a device can cause;
// FATHOM_CHECK (base/check.h) is for our own bugs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace fathom {

// What kind of failure it was; an API layer maps it to a status code.
enum class ErrorCode {
  kInvalidArgument,    // the caller's input is wrong; the message says what was expected
  kNotFound,           // a file, tensor, model or route does not exist
  kUnsupported,        // understood, but this build, chip or model cannot do it
  kResourceExhausted,  // a limit was reached (memory, queue, KV blocks)
  kUnavailable,        // shutting down or not ready; trying again may help
  kCancelled,          // the caller went away
  kDataCorrupt,        // a file or message contradicts itself
  kIo,                 // the operating system or the network failed
  kInternal,           // a device or library failed for a reason we cannot name better
};

// Stable lower-case name, for logs and metrics: "invalid_argument", ...
const char* to_string(ErrorCode code);

// `message` reads as "operation: expected X, got Y" and is fit to show to a user.
struct Error {
  ErrorCode code = ErrorCode::kInternal;
  std::string message;
  // The request field, file or tensor at fault, where there is one ("messages[0].role").
  std::string where = {};

  // The same error with "context: " before its message.
  Error with_context(const std::string& context) const {
    return {code, context + ": " + message, where};
  }
};

inline Error invalid_argument(std::string message, std::string where = {}) {
  return {ErrorCode::kInvalidArgument, std::move(message), std::move(where)};
}

// Either a value or an Error. Checked before use: value() on an error is our bug and aborts.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT: implicit by design
  Result(Error error) : state_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return ok(); }

  T& value() & {
    FATHOM_CHECK(ok(), "Result::value() on error: " + error_message());
    return std::get<T>(state_);
  }
  const T& value() const& {
    FATHOM_CHECK(ok(), "Result::value() on error: " + error_message());
    return std::get<T>(state_);
  }
  T&& value() && {
    FATHOM_CHECK(ok(), "Result::value() on error: " + error_message());
    return std::get<T>(std::move(state_));
  }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  const Error& error() const {
    FATHOM_CHECK(!ok(), "Result::error() on a value");
    return std::get<Error>(state_);
  }

 private:
  std::string error_message() const {
    return ok() ? std::string() : std::get<Error>(state_).message;
  }

  std::variant<T, Error> state_;
};

// Success without a value, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit by design

  bool ok() const { return !error_.has_value(); }
  explicit operator bool() const { return ok(); }
  const Error& error() const {
    FATHOM_CHECK(!ok(), "Result::error() on success");
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

using Status = Result<void>;

}  // namespace fathom

#define FATHOM_CONCAT_INNER(a, b) a##b
#define FATHOM_CONCAT(a, b) FATHOM_CONCAT_INNER(a, b)

// Returns the error of `expr` (a Result or Status) from the enclosing function, if it has one.
#define FATHOM_TRY(expr)                                                  \
  do {                                                                    \
    if (auto try_status = (expr); !try_status) return try_status.error(); \
  } while (false)

// FATHOM_ASSIGN(auto x, f()): declares x from the Result's value or returns its error.
#define FATHOM_ASSIGN(declaration, expr) \
  FATHOM_ASSIGN_INNER(FATHOM_CONCAT(try_result_, __LINE__), declaration, expr)
#define FATHOM_ASSIGN_INNER(name, declaration, expr) \
  auto name = (expr);                                \
  if (!name) return name.error();                    \
  declaration = std::move(name).value()
