// Finds the end of a message head and refuses, before any parsing, the bytes by which two HTTP
// parsers can be made to disagree: bare CR or LF, NUL and other control characters, folded header
// lines. Source: RFC 9112, sections 2.2 and 5.2.
#pragma once

#include <cstddef>
#include <string_view>

namespace fathom::net {

class HeadScanner {
 public:
  enum class Outcome { kIncomplete, kComplete, kMalformed };

  // `input` holds everything received since the message began; it may only have grown since the
  // last call. One empty line before the message is allowed.
  Outcome scan(std::string_view input);

  // After kComplete: the head, with the empty line that ends it.
  std::string_view head(std::string_view input) const {
    return input.substr(begin_, position_ - begin_);
  }
  // After kComplete: where the body begins in the input.
  std::size_t end() const { return position_; }

 private:
  std::size_t begin_ = 0;
  std::size_t position_ = 0;
  std::size_t line_begin_ = 0;
};

}  // namespace fathom::net
