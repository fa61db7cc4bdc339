// The arguments of a call, a filter or a test, bound to parameter names as Python does.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "jinja/value.h"

namespace fathom::jinja {

class Arguments {
 public:
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> keyword;

  // One entry a name: the argument, or null if it was not given. Fails on too many arguments, an
  // unknown name, or one given twice; `callee` is for the message.
  std::vector<const Value*> bind(std::string_view callee,
                                 const std::vector<std::string_view>& names) const;
};

// Readers of optional arguments: `fallback` if `value` is null, failing on another type.
std::optional<Integer> integer_argument(const Value* value, std::string_view name);
bool boolean_argument(const Value* value, std::string_view name, bool fallback);
// Null if not given or none.
const MarkedText* text_argument(const Value* value, std::string_view name);
// Fails if not given.
const MarkedText& required_text(const Value* value, std::string_view callee, std::string_view name);
const Value& required(const Value* value, std::string_view callee, std::string_view name);

// `value` as a long long within [-bound, bound] (positions and counts in texts and lists).
long long clamp_integer(Integer value, long long bound);

}  // namespace fathom::jinja
