// Regular expressions as parts of a Grammar.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// The whole text matches `pattern`, which may but need not have ^ and $ around it.
// Errors: as parse_regex() (regex_parser.h), or ^ or $ where text stands before or behind it.
Result<Expr> whole_regex(Grammar& grammar, std::string_view pattern);

// The content of a JSON string, without its quotes, whose value has `pattern` somewhere in it, as
// JSON Schema means it. Characters are spelled as json_chars() (json_string.h) spells them.
Result<Expr> json_string_regex(Grammar& grammar, std::string_view pattern);

}  // namespace fathom::grammar
