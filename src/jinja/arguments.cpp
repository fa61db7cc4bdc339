#include "jinja/arguments.h"

#include <fmt/format.h>

#include <algorithm>

#include "jinja/error.h"
#include "jinja/operators.h"

namespace fathom::jinja {

std::vector<const Value*> Arguments::bind(std::string_view callee,
                                          const std::vector<std::string_view>& names) const {
  if (positional.size() > names.size()) {
    fail(fmt::format("{}: expected at most {} arguments, got {}", callee, names.size(),
                     positional.size()));
  }
  std::vector<const Value*> bound(names.size(), nullptr);
  for (std::size_t i = 0; i < positional.size(); ++i) bound[i] = &positional[i];
  for (const auto& [name, value] : keyword) {
    const auto place = std::find(names.begin(), names.end(), name);
    if (place == names.end()) fail(fmt::format("{}: unknown argument '{}'", callee, name));
    const Value*& slot = bound[static_cast<std::size_t>(place - names.begin())];
    if (slot != nullptr) fail(fmt::format("{}: argument '{}' is given twice", callee, name));
    slot = &value;
  }
  return bound;
}

std::optional<Integer> integer_argument(const Value* value, std::string_view name) {
  if (value == nullptr || value->is_none()) return std::nullopt;
  const std::optional<Integer> integer = as_integer(*value);
  if (!integer) fail(fmt::format("{}: expected an integer, got {}", name, value->describe()));
  return integer;
}

bool boolean_argument(const Value* value, std::string_view name, bool fallback) {
  if (value == nullptr) return fallback;
  if (value->is_undefined()) {
    fail(fmt::format("{}: expected a boolean, got {}", name, value->describe()));
  }
  return truthy(*value);
}

const MarkedText* text_argument(const Value* value, std::string_view name) {
  if (value == nullptr || value->is_none()) return nullptr;
  if (value->text() == nullptr) {
    fail(fmt::format("{}: expected a string, got {}", name, value->describe()));
  }
  return value->text();
}

const MarkedText& required_text(const Value* value, std::string_view callee,
                                std::string_view name) {
  const MarkedText* text = required(value, callee, name).text();
  if (text == nullptr) {
    fail(fmt::format("{}: expected a string as {}, got {}", callee, name, value->describe()));
  }
  return *text;
}

const Value& required(const Value* value, std::string_view callee, std::string_view name) {
  if (value == nullptr) fail(fmt::format("{}: argument '{}' is missing", callee, name));
  return *value;
}

long long clamp_integer(Integer value, long long bound) {
  return static_cast<long long>(std::clamp<Integer>(value, -Integer{bound}, Integer{bound}));
}

}  // namespace fathom::jinja
