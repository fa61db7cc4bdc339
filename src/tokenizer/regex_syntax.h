// tokenizer.json writes its split patterns for Oniguruma (Ruby syntax, Unicode); we match with
// PCRE2. This translates the part of the syntax that split patterns use, so that it means the same
// in both, and refuses the rest by name instead of matching something else.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::tokenizer {

// Supported: alternation; (…), (?:…), (?i:…), (?>…), look-ahead and look-behind; classes without
// nesting or &&; ? * + and {n,m} with their lazy and possessive forms where both libraries agree;
// ^ $ . and \s \S \d \D \p \P \r \n \t \x \u and escaped punctuation.
// Error: kUnsupported, "expected …, got …", naming what is not supported.
Result<std::string> pcre2_from_oniguruma(std::string_view pattern);

}  // namespace fathom::tokenizer
