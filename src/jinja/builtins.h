// What a template can call: methods, filters, tests and global functions, each by its name.
#pragma once

#include <string_view>

#include "jinja/value.h"

namespace fathom::jinja {

struct NamedNative {
  std::string_view name;
  Callable::Native function;
};

// Null if there is none of that name. The subject of a filter or test is the value before the
// `|` or `is`; a test gives a boolean.
const NamedNative* find_method(const Value& object, std::string_view name);
const NamedNative* find_filter(std::string_view name);
const NamedNative* find_test(std::string_view name);
const NamedNative* find_global(std::string_view name);

// The parts of find_filter().
const NamedNative* find_text_filter(std::string_view name);
const NamedNative* find_number_filter(std::string_view name);

template <std::size_t size>
const NamedNative* find_named(const NamedNative (&table)[size], std::string_view name) {
  for (const NamedNative& entry : table) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

// The test or filter of this name, failing if there is none.
const NamedNative& require_test(std::string_view name);
const NamedNative& require_filter(std::string_view name);

}  // namespace fathom::jinja
