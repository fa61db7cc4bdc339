// Parses a whole template.
#pragma once

#include <string_view>

#include "jinja/ast.h"

namespace fathom::jinja {

// Throws Failure with the line.
Block parse_template(std::string_view source);

}  // namespace fathom::jinja
