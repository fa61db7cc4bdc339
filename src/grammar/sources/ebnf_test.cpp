#include "grammar/sources/ebnf.h"

#include <gtest/gtest.h>

#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

Result<Grammar> ebnf_grammar(std::string_view text) {
  Grammar grammar;
  FATHOM_ASSIGN(const Expr root, add_ebnf(grammar, text));
  grammar.set_root("text", root);
  return grammar;
}

std::shared_ptr<const CompiledGrammar> ebnf(std::string_view text) {
  const auto grammar = ebnf_grammar(text);
  EXPECT_TRUE(grammar.ok()) << text << ": " << grammar.error().message;
  return grammar.ok() ? compiled(*grammar) : nullptr;
}

TEST(Ebnf, Arithmetic) {
  const auto g = ebnf(R"ebnf(
# sums of products
root  ::= sum
sum   ::= product (("+" | "-") product)*
product ::= factor
  | factor "*" product   # right recursion
factor ::= [0-9]+ | ("(" sum
  ")" | name{1,2})
name ::= [a-z_\x41\u00e9]
)ebnf");
  for (const char* text : {"1", "1+2*3", "(1-2)*(a)", "ab*A+é", "((7))"}) {
    EXPECT_TRUE(matches(g, text)) << text;
  }
  for (const char* text : {"", "1+", "(1", "abc", "B", "1)"}) {
    EXPECT_FALSE(matches(g, text)) << text;
  }
}

TEST(Ebnf, LiteralsSetsAndRepetitions) {
  const auto g = ebnf(
      "root ::= \"a\\n\\\"\\\\\" [^\"\\]x-z]{2} . \"\\u4e2d\\U0001F600\"? (\"-\" ){,2} [-+]{1,}");
  EXPECT_TRUE(matches(g, "a\n\"\\bc\n中😀--+"));
  EXPECT_TRUE(matches(g, "a\n\"\\bcé-"));
  EXPECT_TRUE(matches(g, "a\n\"\\bcq----+"));
  EXPECT_FALSE(matches(g, "a\n\"\\]bq-"));
  EXPECT_FALSE(matches(g, "a\n\"\\bcq"));
}

TEST(Ebnf, ManyAlternativesAtOnceAreAllThere) {
  std::string text = "root ::= ";
  for (int i = 0; i < 300; ++i) text += (i == 0 ? "r" : " | r") + std::to_string(i);
  for (int i = 0; i < 300; ++i) {
    text += "\nr" + std::to_string(i) + " ::= [a-z]+ \"" + std::to_string(i) + "!\"";
  }
  const auto g = ebnf(text);
  for (const char* yes : {"abc0!", "x127!", "word128!", "z299!"})
    EXPECT_TRUE(matches(g, yes)) << yes;
  EXPECT_FALSE(matches(g, "z300!"));
}

TEST(Ebnf, ErrorsNameTheLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "rule named root"},
      {"root ::= a", "rule named a"},
      {"a ::= \"x\"", "rule named root"},
      {"root ::= \"a", "line 1: expected \""},
      {"\n\nroot = \"a\"", "line 3: expected ::="},
      {"root ::= (\"a\"", "line 1: expected )"},
      {"root ::= [a", "line 1: expected ]"},
      {"root ::= \"a\"{3,2}", "line 1: expected {n,m}"},
      {"root ::= \"a\"{9999999}", "line 1: expected n below 1000000"},
      {"root ::= \"\\q\"", "line 1: expected an escape"},
      {"root ::= \"a\"\nroot ::= \"b\"", "line 2: expected one rule named root"},
      {"root ::= *", "line 1: expected a literal"},
      {"root ::= \"\xFF\"", "line 1: expected well-formed UTF-8"},
  };
  for (const auto& [text, message] : cases) {
    const auto grammar = ebnf_grammar(text);
    ASSERT_FALSE(grammar.ok()) << text;
    EXPECT_NE(grammar.error().message.find(message), std::string::npos) << grammar.error().message;
  }
  EXPECT_FALSE(ebnf_grammar("root ::= " + std::string(100'000, '(')).ok());
}

TEST(Ebnf, LeftRecursionIsRefusedByName) {
  const auto grammar = ebnf_grammar("root ::= x\nx ::= y \"b\"\ny ::= x | \"a\"");
  ASSERT_TRUE(grammar.ok());
  const auto result = CompiledGrammar::build(*grammar, byte_vocabulary());
  ASSERT_FALSE(result.ok());
  EXPECT_TRUE(result.error().where == "x" || result.error().where == "y");
}

}  // namespace
}  // namespace fathom::grammar
