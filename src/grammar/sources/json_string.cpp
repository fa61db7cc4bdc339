#include "grammar/sources/json_string.h"

#include <array>
#include <initializer_list>

#include "grammar/rules/text_class.h"

namespace fathom::grammar {
namespace {

// The escape of a character that is not plain (text_class.h).
std::string escape_of(char32_t code) {
  switch (code) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  constexpr std::string_view kHex = "0123456789abcdef";
  return std::string("\\u00") + kHex[code >> 4 & 0xF] + kHex[code & 0xF];
}

}  // namespace

// The escapes are grouped by what they begin with: they are part of every character of a pattern.
Expr json_chars(Grammar& grammar, const CharSet& set) {
  CharSet letters;                // behind a backslash
  std::array<CharSet, 2> digits;  // behind \u000 and \u001
  const CharSet escaped = set.minus(characters_of(TextClass::kPlain));
  for (const CharRange& range : escaped.ranges()) {
    for (char32_t code = range.first; code <= range.last; ++code) {
      const std::string escape = escape_of(code);
      CharSet& last = escape.size() == 2 ? letters : digits[code >> 4];
      last.add(static_cast<char32_t>(escape.back()), static_cast<char32_t>(escape.back()));
    }
  }
  const Expr numbered =
      grammar.choice({grammar.sequence({grammar.literal("0"), grammar.chars(digits[0])}),
                      grammar.sequence({grammar.literal("1"), grammar.chars(digits[1])})});
  const Expr escapes = grammar.choice(
      {grammar.chars(letters), grammar.sequence({grammar.literal("u00"), numbered})});
  return grammar.choice({grammar.chars(set.intersect(characters_of(TextClass::kPlain))),
                         grammar.sequence({grammar.literal("\\"), escapes})});
}

Expr json_any_characters(Grammar& grammar) {
  const auto set = [&](std::initializer_list<CharRange> ranges) { return grammar.chars(ranges); };
  const Expr hex = set({{'0', '9'}, {'A', 'F'}, {'a', 'f'}});
  const Expr d = set({{'D', 'D'}, {'d', 'd'}});
  const Expr two = grammar.repeat(hex, 2, 2);
  const Expr no_surrogate = grammar.choice(
      {grammar.sequence({set({{'0', '9'}, {'A', 'C'}, {'E', 'F'}, {'a', 'c'}, {'e', 'f'}}),
                         grammar.repeat(hex, 3, 3)}),
       grammar.sequence({d, set({{'0', '7'}}), two})});
  const Expr pair =
      grammar.sequence({d, set({{'8', '9'}, {'A', 'B'}, {'a', 'b'}}), two, grammar.literal("\\u"),
                        d, set({{'C', 'F'}, {'c', 'f'}}), two});
  const Expr one_letter = set({{'"', '"'},
                               {'/', '/'},
                               {'\\', '\\'},
                               {'b', 'b'},
                               {'f', 'f'},
                               {'n', 'n'},
                               {'r', 'r'},
                               {'t', 't'}});
  const Expr escape = grammar.sequence(
      {grammar.literal("\\"),
       grammar.choice({one_letter, grammar.sequence({grammar.literal("u"),
                                                     grammar.choice({no_surrogate, pair})})})});
  return grammar.repeat(grammar.choice({grammar.chars(characters_of(TextClass::kPlain)), escape}),
                        0);
}

std::string json_quoted(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    const DecodedChar decoded = decode_utf8(text);
    FATHOM_CHECK(decoded.length > 0, "text is well-formed UTF-8");
    out += characters_of(TextClass::kPlain).contains(decoded.code)
               ? std::string(text.substr(0, decoded.length))
               : escape_of(decoded.code);
    text.remove_prefix(decoded.length);
  }
  return out + '"';
}

}  // namespace fathom::grammar
