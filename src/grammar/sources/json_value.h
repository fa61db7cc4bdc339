// JSON's grammar as parts of a Grammar, each rule added when it is first asked for.
//
// White space, so that no model can go on with it for ever: one space or none behind ':'; and where
// a line may break (behind '{', '[' and ',', before '}' and ']') nothing, one space, or one line
// feed and up to 32 spaces or 8 tabs. Elsewhere none.
#pragma once

#include <optional>
#include <string_view>

#include "grammar/rules/grammar.h"

namespace fathom::grammar {

class JsonPieces {
 public:
  explicit JsonPieces(Grammar& grammar) : grammar_(grammar) {}

  Expr space();     // behind ':'
  Expr line_end();  // where a line may break
  Expr string();    // any string, with its quotes
  Expr integer();   // at most 18 digits
  // At most 15 digits, 15 more behind the point and an exponent of at most two: finite as a double.
  Expr number();
  Expr value();
  Expr object();
  Expr array();

  // [ ] or { } around `content`, which is not empty.
  Expr bracketed(std::string_view open, Expr content, std::string_view close);
  Expr empty_brackets(std::string_view open, std::string_view close);
  Expr comma();  // and where a line may break

 private:
  template <typename Body>
  Expr rule(std::optional<RuleId>& id, const char* name, const Body& body);

  Grammar& grammar_;
  std::optional<RuleId> line_end_, string_, integer_, number_, value_, object_, array_;
};

}  // namespace fathom::grammar
