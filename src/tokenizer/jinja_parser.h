// Parses a whole template.
#pragma once

#include <string_view>

#include "tokenizer/jinja_ast.h"

namespace fathom::tokenizer::jinja {

// Throws Failure with the line.
Block parse_template(std::string_view source);

}  // namespace fathom::tokenizer::jinja
