// Grammars as text, in the notation that llama.cpp's GBNF and its relatives use.
//
//   root   ::= item ("," item)*      # the text starts at the rule "root"
//   item   ::= [a-z]+ | "\"" [^"\x00-\x1F]* "\"" | number{1,3}
//   number ::= [0-9]
//
// Rules are separated by line ends; a rule may go on behind one after "::=" or "|", within
// parentheses, or on a line that begins with "|". "a" is a literal, with \n \r \t \\ \" \[ \] \-
// \xHH \uHHHH \UHHHHHHHH; [a-z] and [^a-z] are sets of characters, . is any one. * + ? {n} {n,}
// {n,m} repeat what is before them. # begins a comment.
#pragma once

#include <string_view>

#include "base/result.h"
#include "grammar/rules/grammar.h"

namespace fathom::grammar {

// Adds the rules to `grammar`; the result is a call of "root".
// Errors: kInvalidArgument, "line N: expected …, got …"; kResourceExhausted beyond the limits. That
// no rule may begin with itself is found later, by Automaton::build().
Result<Expr> add_ebnf(Grammar& grammar, std::string_view text);

}  // namespace fathom::grammar
