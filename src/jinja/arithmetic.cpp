// The arithmetic half of operators.h.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "jinja/error.h"
#include "jinja/operators.h"

namespace fathom::jinja {
namespace {

const char* sign_of(Arithmetic operation) {
  switch (operation) {
    case Arithmetic::kAdd:
      return "+";
    case Arithmetic::kSubtract:
      return "-";
    case Arithmetic::kMultiply:
      return "*";
    case Arithmetic::kDivide:
      return "/";
    case Arithmetic::kFloorDivide:
      return "//";
    case Arithmetic::kModulo:
      return "%";
    case Arithmetic::kPower:
      return "**";
  }
  return "?";
}

Value finite(double result) {
  if (!std::isfinite(result)) fail("arithmetic: expected a finite result, got an infinite one");
  return result;
}

[[noreturn]] void fail_overflow() {
  fail("arithmetic: expected integers of at most 127 bits, got a larger result");
}

Integer floor_divide(Integer a, Integer b) {
  if (b == -1) {
    Integer negated;
    if (__builtin_sub_overflow(Integer{0}, a, &negated)) fail_overflow();
    return negated;
  }
  const Integer quotient = a / b;
  return quotient * b != a && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Integer integer_power(Integer base, Integer exponent) {
  Integer result = 1;
  while (exponent > 0) {
    if (exponent % 2 != 0 && __builtin_mul_overflow(result, base, &result)) fail_overflow();
    exponent /= 2;
    if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
  }
  return result;
}

double floor_modulo(double a, double b) {
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

Value float_arithmetic(Arithmetic operation, double a, double b) {
  const bool divides = operation == Arithmetic::kDivide || operation == Arithmetic::kFloorDivide ||
                       operation == Arithmetic::kModulo;
  if (divides && b == 0) fail("arithmetic: expected a divisor other than zero, got zero");
  switch (operation) {
    case Arithmetic::kAdd:
      return finite(a + b);
    case Arithmetic::kSubtract:
      return finite(a - b);
    case Arithmetic::kMultiply:
      return finite(a * b);
    case Arithmetic::kDivide:
      return finite(a / b);
    case Arithmetic::kFloorDivide:
      return finite(std::floor(a / b));
    case Arithmetic::kModulo:
      return finite(floor_modulo(a, b));
    case Arithmetic::kPower:
      return finite(std::pow(a, b));
  }
  FATHOM_CHECK(false, "an arithmetic operation");
}

Value integer_arithmetic(Arithmetic operation, Integer a, Integer b) {
  if (operation == Arithmetic::kDivide || (operation == Arithmetic::kPower && b < 0)) {
    return float_arithmetic(operation, static_cast<double>(a), static_cast<double>(b));
  }
  if (operation == Arithmetic::kPower) return integer_power(a, b);
  if (operation == Arithmetic::kFloorDivide || operation == Arithmetic::kModulo) {
    if (b == 0) fail("arithmetic: expected a divisor other than zero, got zero");
    const Integer quotient = floor_divide(a, b);
    return operation == Arithmetic::kFloorDivide ? quotient : a - quotient * b;
  }
  Integer result;
  const bool overflow = operation == Arithmetic::kAdd ? __builtin_add_overflow(a, b, &result)
                        : operation == Arithmetic::kSubtract
                            ? __builtin_sub_overflow(a, b, &result)
                            : __builtin_mul_overflow(a, b, &result);
  if (overflow) fail_overflow();
  return result;
}

Value add_texts(Heap& heap, const MarkedText& a, const MarkedText& b) {
  TextBuilder builder(heap);
  builder.append(a);
  builder.append(b);
  return finish_text(std::move(builder));
}

Value add_lists(Heap& heap, const List& a, const List& b) {
  heap.work((a.items.size() + b.items.size()) * sizeof(Value));
  std::vector<Value> items = a.items;
  items.insert(items.end(), b.items.begin(), b.items.end());
  return make_list(heap, std::move(items), a.tuple);
}

// How often a text or list can be repeated at all, so that sizes never overflow.
constexpr Integer kMaxRepeats = Integer{1} << 32;

Value repeat_text(Heap& heap, const MarkedText& text, Integer count) {
  TextBuilder builder(heap);
  if (text.empty() || count < 0) count = 0;
  const auto repeats = static_cast<std::uint64_t>(std::min(count, kMaxRepeats));
  // Refused before it is built. The texts that exist are too short for an overflow.
  heap.check_text(repeats * text.size());
  for (std::uint64_t i = 0; i < repeats; ++i) builder.append(text);
  return finish_text(std::move(builder));
}

Value repeat_list(Heap& heap, const List& list, Integer count) {
  if (list.items.empty() || count < 0) count = 0;
  const auto repeats = static_cast<std::uint64_t>(std::min(count, kMaxRepeats));
  // Counted before it is built.
  heap.step(repeats);
  heap.step(repeats * list.items.size());
  Charge(&heap, repeats * list.items.size() * sizeof(Value));
  std::vector<Value> items;
  items.reserve(repeats * list.items.size());
  for (std::uint64_t i = 0; i < repeats; ++i) {
    items.insert(items.end(), list.items.begin(), list.items.end());
  }
  return make_list(heap, std::move(items), list.tuple);
}

const Value* repeated_operand(const Value& a, const Value& b) {
  if (as_integer(b) && (a.text() != nullptr || a.list() != nullptr)) return &a;
  if (as_integer(a) && (b.text() != nullptr || b.list() != nullptr)) return &b;
  return nullptr;
}

}  // namespace

Value arithmetic(Heap& heap, Arithmetic operation, const Value& a, const Value& b) {
  if (as_integer(a) && as_integer(b)) {
    return integer_arithmetic(operation, *as_integer(a), *as_integer(b));
  }
  if (as_number(a) && as_number(b))
    return float_arithmetic(operation, *as_number(a), *as_number(b));
  if (operation == Arithmetic::kAdd) {
    if (a.text() != nullptr && b.text() != nullptr) return add_texts(heap, *a.text(), *b.text());
    const bool lists = a.list() != nullptr && b.list() != nullptr;
    if (lists && a.list()->tuple == b.list()->tuple) return add_lists(heap, *a.list(), *b.list());
  }
  if (operation == Arithmetic::kMultiply) {
    if (const Value* operand = repeated_operand(a, b)) {
      const Integer count = operand == &a ? *as_integer(b) : *as_integer(a);
      if (operand->text() != nullptr) return repeat_text(heap, *operand->text(), count);
      return repeat_list(heap, *operand->list(), count);
    }
  }
  fail(fmt::format("{}: expected operands that fit together, got {} and {}", sign_of(operation),
                   a.describe(), b.describe()));
}

Value negate(const Value& value) {
  if (const auto integer = as_integer(value))
    return integer_arithmetic(Arithmetic::kSubtract, 0, *integer);
  if (const double* number = value.get<double>()) return -*number;
  fail(fmt::format("-: expected a number, got {}", value.describe()));
}

}  // namespace fathom::jinja
