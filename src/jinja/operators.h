// Python's operators on template values. None of them looks at trust marks except to carry them.
#pragma once

#include <optional>
#include <string_view>

#include "jinja/value.h"

namespace fathom::jinja {

enum class Arithmetic { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
enum class Comparison {
  kEqual,
  kNotEqual,
  kLess,
  kLessEqual,
  kGreater,
  kGreaterEqual,
  kIn,
  kNotIn
};

bool truthy(const Value& value);

// Booleans count as integers, as in Python.
std::optional<Integer> as_integer(const Value& value);
// An integer, a boolean or a float.
std::optional<double> as_number(const Value& value);

bool equal(Heap& heap, const Value& a, const Value& b);
// Below, equal or above zero; fails on values without an order.
int order(Heap& heap, const Value& a, const Value& b);
bool compare(Heap& heap, Comparison comparison, const Value& a, const Value& b);

Value arithmetic(Heap& heap, Arithmetic operation, const Value& a, const Value& b);
Value negate(const Value& value);
// `~`: the two as text, one after the other.
Value concatenate(Heap& heap, const Value& a, const Value& b);

// The items a `for` walks: of a list itself, a dict's keys, a string's characters, nothing of
// undefined.
ListPtr items_of(Heap& heap, const Value& value);

// object[key]; undefined if there is none, a failure if `object` is undefined.
Value subscript(Heap& heap, const Value& object, const Value& key);
// object.name: a method before a dict's key, as in Python.
Value attribute(Heap& heap, const Value& object, const TextPtr& name);
// object[start:stop:step], each of them null or none where left out.
Value slice(Heap& heap, const Value& object, const Value* start, const Value* stop,
            const Value* step);

// First byte of `needle` in `haystack` at or after `from`, or npos; linear in the haystack.
std::size_t find_bytes(std::string_view haystack, std::string_view needle, std::size_t from = 0);

}  // namespace fathom::jinja
