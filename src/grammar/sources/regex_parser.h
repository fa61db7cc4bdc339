// Regular expressions as ECMA-262 writes them (with its u flag), as trees.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "grammar/rules/char_set.h"

namespace fathom::grammar {

struct RegexNode {
  enum class Kind : uint8_t { kSet, kSequence, kChoice, kRepeat, kStart, kEnd };
  Kind kind;
  CharSet set = {};
  std::vector<RegexNode> children = {};
  uint32_t least = 0;  // of kRepeat
  uint32_t most = 0;
};

// Supported: alternation; ( ), (?: ) and (?<name> ) as plain groups; classes; ? * + {n} {n,} {n,m},
// lazy ones too (they match the same texts); ^ and $; . (all but line ends), \d \w \s (ASCII digits
// and letters; ECMA's white space) and their opposites; \n \r \t \f \v \0 \cX \xHH \uHHHH \u{H} and
// escaped punctuation. Not: look-around, back-references, \b and \p, which are refused by name.
// Errors: kInvalidArgument or kUnsupported, "expected …, got … at offset N".
Result<RegexNode> parse_regex(std::string_view pattern);

}  // namespace fathom::grammar
