// What `format` in a JSON schema may ask for.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace fathom::grammar {

// A regular expression, anchored at both ends, of texts that have the format (not all: the forms in
// use); nothing for a format that is not known.
std::optional<std::string> format_pattern(std::string_view format);

// "date, time, ...", for messages.
std::string format_names();

}  // namespace fathom::grammar
