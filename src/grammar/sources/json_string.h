// JSON's strings and white space as parts of a Grammar.
#pragma once

#include <string>
#include <string_view>

#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// One character of a JSON string, spelled in the one way that constrained strings use: as itself,
// but for '"', '\' and control characters, which take the shortest escape (\" \\ \b \f \n \r \t,
// else \u00XX in lower case). So texts and values correspond one to one, and what holds of lengths
// and patterns of values holds of texts.
Expr json_chars(Grammar& grammar, const CharSet& set);

// The content, without quotes, of any JSON string: every escape is allowed, surrogates in pairs.
Expr json_any_characters(Grammar& grammar);

// `text`, which is well-formed UTF-8, as a JSON string with quotes, spelled as json_chars() does.
std::string json_quoted(std::string_view text);

}  // namespace fathom::grammar
