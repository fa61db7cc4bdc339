#include "grammar/sources/json_value.h"

#include "grammar/sources/json_string.h"

namespace fathom::grammar {

// The rule is numbered before its body is made, so that the body may call it.
template <typename Body>
Expr JsonPieces::rule(std::optional<RuleId>& id, const char* name, const Body& body) {
  if (!id.has_value()) {
    id = grammar_.add_rule(name);
    grammar_.define(*id, body());
  }
  return grammar_.call(*id);
}

Expr JsonPieces::space() {
  return grammar_.optional(grammar_.literal(" "));
}

Expr JsonPieces::line_end() {
  return rule(line_end_, "white space", [this] {
    const Expr indent = grammar_.choice({grammar_.repeat(grammar_.literal(" "), 0, 32),
                                         grammar_.repeat(grammar_.literal("\t"), 0, 8)});
    return grammar_.optional(grammar_.choice(
        {grammar_.literal(" "), grammar_.sequence({grammar_.literal("\n"), indent})}));
  });
}

Expr JsonPieces::string() {
  return rule(string_, "string", [this] {
    const Expr quote = grammar_.literal("\"");
    return grammar_.sequence({quote, json_any_characters(grammar_), quote});
  });
}

Expr JsonPieces::integer() {
  return rule(integer_, "integer", [this] {
    const Expr digits = grammar_.repeat(grammar_.chars({{'0', '9'}}), 0, 17);
    return grammar_.choice(
        {grammar_.literal("0"), grammar_.sequence({grammar_.optional(grammar_.literal("-")),
                                                   grammar_.chars({{'1', '9'}}), digits})});
  });
}

Expr JsonPieces::number() {
  return rule(number_, "number", [this] {
    const Expr digit = grammar_.chars({{'0', '9'}});
    const Expr sign = grammar_.optional(grammar_.literal("-"));
    const Expr whole = grammar_.choice(
        {grammar_.literal("0"),
         grammar_.sequence({grammar_.chars({{'1', '9'}}), grammar_.repeat(digit, 0, 14)})});
    const Expr fraction = grammar_.optional(
        grammar_.sequence({grammar_.literal("."), grammar_.repeat(digit, 1, 15)}));
    const Expr exponent = grammar_.optional(
        grammar_.sequence({grammar_.chars({{'E', 'E'}, {'e', 'e'}}),
                           grammar_.optional(grammar_.chars({{'+', '+'}, {'-', '-'}})),
                           grammar_.repeat(digit, 1, 2)}));
    return grammar_.sequence({sign, whole, fraction, exponent});
  });
}

Expr JsonPieces::value() {
  return rule(value_, "value", [this] {
    return grammar_.choice({object(), array(), string(), number(), grammar_.literal("true"),
                            grammar_.literal("false"), grammar_.literal("null")});
  });
}

Expr JsonPieces::object() {
  return rule(object_, "object", [this] {
    const Expr member = grammar_.sequence({string(), grammar_.literal(":"), space(), value()});
    const Expr more = grammar_.repeat(grammar_.sequence({comma(), member}), 0);
    return grammar_.choice(
        {empty_brackets("{", "}"), bracketed("{", grammar_.sequence({member, more}), "}")});
  });
}

Expr JsonPieces::array() {
  return rule(array_, "array", [this] {
    const Expr more = grammar_.repeat(grammar_.sequence({comma(), value()}), 0);
    return grammar_.choice(
        {empty_brackets("[", "]"), bracketed("[", grammar_.sequence({value(), more}), "]")});
  });
}

Expr JsonPieces::bracketed(std::string_view open, Expr content, std::string_view close) {
  return grammar_.sequence(
      {grammar_.literal(open), line_end(), content, line_end(), grammar_.literal(close)});
}

Expr JsonPieces::empty_brackets(std::string_view open, std::string_view close) {
  return grammar_.sequence({grammar_.literal(open), line_end(), grammar_.literal(close)});
}

Expr JsonPieces::comma() {
  return grammar_.sequence({grammar_.literal(","), line_end()});
}

}  // namespace fathom::grammar
