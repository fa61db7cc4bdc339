// Values as text: Python's str() and repr(), and Hugging Face's tojson. Text inside a value keeps
// its trust marks; what is written around it (quotes, brackets, digits) is not trusted.
#pragma once

#include <optional>

#include "jinja/value.h"

namespace fathom::jinja {

// What `{{ value }}` writes.
void print(TextBuilder& out, const Value& value);

// The text of a value that may be a string already.
Value to_text(Heap& heap, const Value& value);

// The arguments of json.dumps that tojson passes on.
struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  // None: one line. Otherwise each item on a line of its own, this much text a level.
  std::optional<MarkedText> indent = {};
  MarkedText item_separator = MarkedText(", ", false);
  MarkedText key_separator = MarkedText(": ", false);
};

void print_json(TextBuilder& out, const Value& value, const JsonStyle& style);

}  // namespace fathom::jinja
