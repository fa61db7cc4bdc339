// The escapes of string literals, Python's.
#pragma once

#include <string>
#include <string_view>

namespace fathom::jinja {

// The value of a literal's text between its quotes. Throws Failure with `line` on a broken escape.
std::string unescape(std::string_view text, int line);

}  // namespace fathom::jinja
