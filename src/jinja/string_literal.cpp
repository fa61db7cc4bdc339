#include "jinja/string_literal.h"

#include <fmt/format.h>

#include <charconv>
#include <optional>

#include "base/utf8.h"
#include "jinja/error.h"

namespace fathom::jinja {
namespace {

std::optional<char> simple_escape(char c) {
  switch (c) {
    case 'n':
      return '\n';
    case 't':
      return '\t';
    case 'r':
      return '\r';
    case 'a':
      return '\a';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'v':
      return '\v';
    case '\\':
    case '\'':
    case '"':
      return c;
    default:
      return std::nullopt;
  }
}

// Hex digits after \x, \u and \U.
std::size_t hex_digits(char c) {
  return c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
}

char32_t read_code_point(std::string_view digits, int base, std::size_t expected, int line) {
  unsigned value = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), value, base);
  const bool whole = error == std::errc() && end == digits.data() + digits.size();
  if (!whole || digits.size() != expected) {
    fail(fmt::format("expected {} hexadecimal digits in a string's escape, got others", expected),
         line);
  }
  if (value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF)) {
    fail("expected a Unicode character in a string's escape, got no character's number", line);
  }
  return value;
}

std::size_t octal_length(std::string_view text) {
  constexpr std::size_t kMostDigits = 3;
  std::size_t length = 0;
  while (length < kMostDigits && length < text.size() && text[length] >= '0' &&
         text[length] <= '7') {
    ++length;
  }
  return length;
}

}  // namespace

std::string unescape(std::string_view text, int line) {
  std::string value;
  value.reserve(text.size());
  std::size_t at = 0;
  while (at < text.size()) {
    if (text[at] != '\\' || at + 1 == text.size()) {
      value.push_back(text[at++]);
      continue;
    }
    const char c = text[at + 1];
    at += 2;
    if (const auto simple = simple_escape(c)) {
      value.push_back(*simple);
    } else if (const std::size_t digits = hex_digits(c)) {
      append_utf8(read_code_point(text.substr(at, digits), 16, digits, line), value);
      at += digits;
    } else if (const std::size_t octals = octal_length(text.substr(at - 1))) {
      append_utf8(read_code_point(text.substr(at - 1, octals), 8, octals, line), value);
      at += octals - 1;
    } else if (c != '\n') {
      // Unknown escapes stay as they are.
      value.push_back('\\');
      value.push_back(c);
    }
  }
  return value;
}

}  // namespace fathom::jinja
