// Jinja's tests: `value is NAME`.
#include <fmt/format.h>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

using Predicate = bool (*)(const Value&);

// A test without arguments.
template <Predicate predicate>
Value test(Heap&, const Value& subject, Arguments& arguments) {
  arguments.bind("test", {});
  return predicate(subject);
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_undefined(const Value& value) {
  return value.is_undefined();
}
bool is_none(const Value& value) {
  return value.is_none();
}
bool is_string(const Value& value) {
  return value.text() != nullptr;
}
bool is_mapping(const Value& value) {
  return value.dict() != nullptr;
}
bool is_boolean(const Value& value) {
  return value.get<bool>() != nullptr;
}
bool is_integer(const Value& value) {
  return value.get<Integer>() != nullptr;
}
bool is_float(const Value& value) {
  return value.get<double>() != nullptr;
}
bool is_number(const Value& value) {
  return as_number(value).has_value();
}
bool is_callable(const Value& value) {
  return value.callable() != nullptr;
}
bool is_true(const Value& value) {
  return is_boolean(value) && *value.get<bool>();
}
bool is_false(const Value& value) {
  return is_boolean(value) && !*value.get<bool>();
}
// Undefined counts as an empty sequence, as in Jinja.
bool is_iterable(const Value& value) {
  return is_undefined(value) || is_string(value) || is_mapping(value) || value.list() != nullptr;
}

Integer remainder_of(Heap& heap, const Value& value, const Value& divisor) {
  const Value remainder = arithmetic(heap, Arithmetic::kModulo, value, divisor);
  const auto integer = as_integer(remainder);
  if (!integer) fail(fmt::format("test: expected an integer, got {}", value.describe()));
  return *integer;
}

Value is_odd(Heap& heap, const Value& subject, Arguments&) {
  return remainder_of(heap, subject, Integer{2}) == 1;
}

Value is_even(Heap& heap, const Value& subject, Arguments&) {
  return remainder_of(heap, subject, Integer{2}) == 0;
}

Value is_divisible(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("divisibleby", {"num"});
  return remainder_of(heap, subject, required(bound[0], "divisibleby", "num")) == 0;
}

template <Comparison comparison>
Value compares(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("test", {"other"});
  return compare(heap, comparison, subject, required(bound[0], "test", "other"));
}

// Whether the text has letters and none of them changes.
Value all_letters_are(Heap& heap, const Value& subject, char32_t (*mapping)(char32_t)) {
  const Value as_text = to_text(heap, subject);
  const std::string_view text = as_text.text()->view();
  heap.work(text.size());
  bool has_letters = false;
  for (std::size_t at = 0; at < text.size();) {
    const char32_t c = next_code_point(text, at);
    if (mapping(c) != c) return false;
    has_letters = has_letters || to_upper(c) != c || to_lower(c) != c;
  }
  return has_letters;
}

Value is_lower(Heap& heap, const Value& subject, Arguments&) {
  return all_letters_are(heap, subject, to_lower);
}

Value is_upper(Heap& heap, const Value& subject, Arguments&) {
  return all_letters_are(heap, subject, to_upper);
}

// Objects are the same if they are equal and of one type; identity is not visible otherwise.
Value is_same(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("sameas", {"other"});
  const Value& other = required(bound[0], "sameas", "other");
  return subject.data().index() == other.data().index() && equal(heap, subject, other);
}

constexpr NamedNative kTests[] = {
    {"defined", test<is_defined>},
    {"undefined", test<is_undefined>},
    {"none", test<is_none>},
    {"string", test<is_string>},
    {"mapping", test<is_mapping>},
    {"iterable", test<is_iterable>},
    {"sequence", test<is_iterable>},
    {"boolean", test<is_boolean>},
    {"integer", test<is_integer>},
    {"float", test<is_float>},
    {"number", test<is_number>},
    {"callable", test<is_callable>},
    {"true", test<is_true>},
    {"false", test<is_false>},
    {"odd", is_odd},
    {"even", is_even},
    {"divisibleby", is_divisible},
    {"lower", is_lower},
    {"upper", is_upper},
    {"sameas", is_same},
    {"in", compares<Comparison::kIn>},
    {"eq", compares<Comparison::kEqual>},
    {"equalto", compares<Comparison::kEqual>},
    {"==", compares<Comparison::kEqual>},
    {"ne", compares<Comparison::kNotEqual>},
    {"!=", compares<Comparison::kNotEqual>},
    {"lt", compares<Comparison::kLess>},
    {"lessthan", compares<Comparison::kLess>},
    {"<", compares<Comparison::kLess>},
    {"le", compares<Comparison::kLessEqual>},
    {"<=", compares<Comparison::kLessEqual>},
    {"gt", compares<Comparison::kGreater>},
    {"greaterthan", compares<Comparison::kGreater>},
    {">", compares<Comparison::kGreater>},
    {"ge", compares<Comparison::kGreaterEqual>},
    {">=", compares<Comparison::kGreaterEqual>},
};

}  // namespace

const NamedNative* find_test(std::string_view name) {
  return find_named(kTests, name);
}

const NamedNative& require_test(std::string_view name) {
  const NamedNative* test = find_test(name);
  if (test == nullptr) fail(fmt::format("expected the name of a test after 'is', got '{}'", name));
  return *test;
}

}  // namespace fathom::jinja
