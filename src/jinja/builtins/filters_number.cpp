// Jinja's filters of numbers.
#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

std::string_view without_space(std::string_view text) {
  text.remove_prefix(leading_space(text));
  text.remove_suffix(trailing_space(text));
  return text;
}

// Digits with an optional sign, as Python's int() reads them.
std::optional<Integer> parse_integer(std::string_view text) {
  text = without_space(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  Integer value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    const bool overflow = __builtin_mul_overflow(value, Integer{10}, &value) ||
                          __builtin_add_overflow(value, Integer{c - '0'}, &value);
    if (overflow) fail("int: expected a number of at most 127 bits, got a larger one");
  }
  return negative ? -value : value;
}

// Finite numbers only.
std::optional<double> parse_float(std::string_view text) {
  text = without_space(text);
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool whole = error == std::errc() && end == text.data() + text.size();
  return whole && std::isfinite(value) ? std::optional(value) : std::nullopt;
}

std::optional<Integer> truncated(double value) {
  constexpr double kTooLarge = 1e38;
  if (std::fabs(value) >= kTooLarge) return std::nullopt;
  return static_cast<Integer>(value);
}

Value int_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("int", {"default"});
  const Value fallback = bound[0] == nullptr ? Value(Integer{0}) : *bound[0];
  if (const auto integer = as_integer(subject)) return *integer;
  std::optional<double> number = as_number(subject);
  if (const MarkedText* text = subject.text()) {
    heap.work(text->size());
    if (const auto integer = parse_integer(text->view())) return *integer;
    number = parse_float(text->view());
  }
  const auto integer = number ? truncated(*number) : std::nullopt;
  return integer ? Value(*integer) : fallback;
}

Value float_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("float", {"default"});
  if (const auto number = as_number(subject)) return *number;
  if (const MarkedText* text = subject.text()) {
    heap.work(text->size());
    if (const auto number = parse_float(text->view())) return *number;
  }
  return bound[0] == nullptr ? Value(0.0) : *bound[0];
}

Value abs_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("abs", {});
  const Value zero = Integer{0};
  return order(heap, subject, zero) < 0 ? negate(subject)
                                        : arithmetic(heap, Arithmetic::kAdd, subject, zero);
}

// The nearest number of `digits` decimals, ties to even as they are in binary.
double round_to(double value, int digits) {
  char buffer[512];
  std::snprintf(buffer, sizeof buffer, "%.*f", digits, value);
  return std::strtod(buffer, nullptr);
}

Value round_filter(Heap&, const Value& subject, Arguments& arguments) {
  constexpr Integer kMostDigits = 100;
  const auto bound = arguments.bind("round", {"precision", "method"});
  const Integer digits = integer_argument(bound[0], "precision").value_or(0);
  const MarkedText* method = text_argument(bound[1], "method");
  const std::string how = method == nullptr ? "common" : method->bytes();
  const auto number = as_number(subject);
  if (!number) fail(fmt::format("round: expected a number, got {}", subject.describe()));
  if (digits < 0 || digits > kMostDigits) fail("round: expected a precision from 0 to 100");
  if (how == "common") {
    if (as_integer(subject)) return *as_integer(subject);
    return round_to(*number, static_cast<int>(digits));
  }
  if (how != "ceil" && how != "floor") {
    fail("round: expected the method 'common', 'ceil' or 'floor', got another");
  }
  const double scale = std::pow(10.0, static_cast<double>(digits));
  const double scaled = *number * scale;
  if (!std::isfinite(scaled)) return *number;
  return (how == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / scale;
}

constexpr NamedNative kNumberFilters[] = {
    {"int", int_filter},
    {"float", float_filter},
    {"abs", abs_filter},
    {"round", round_filter},
};

}  // namespace

const NamedNative* find_number_filter(std::string_view name) {
  return find_named(kNumberFilters, name);
}

}  // namespace fathom::jinja
