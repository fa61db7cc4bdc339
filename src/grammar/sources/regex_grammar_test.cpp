#include <gtest/gtest.h>

#include "grammar/sources/regex.h"
#include "grammar/sources/regex_parser.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

std::shared_ptr<const CompiledGrammar> whole(std::string_view pattern) {
  Grammar grammar;
  const auto expr = whole_regex(grammar, pattern);
  EXPECT_TRUE(expr.ok()) << pattern << ": " << expr.error().message;
  set_root(grammar, expr.ok() ? *expr : grammar.empty());
  return compiled(grammar);
}

std::shared_ptr<const CompiledGrammar> in_json(std::string_view pattern) {
  Grammar grammar;
  const auto expr = json_string_regex(grammar, pattern);
  EXPECT_TRUE(expr.ok()) << pattern << ": " << expr.error().message;
  set_root(grammar, expr.ok() ? *expr : grammar.empty());
  return compiled(grammar);
}

TEST(Regex, MatchesWholeTexts) {
  struct Example {
    const char* pattern;
    std::vector<const char*> yes;
    std::vector<const char*> no;
  };
  const std::vector<Example> cases = {
      {"", {""}, {"a"}},
      {"abc", {"abc"}, {"ab", "abcd", "xbc"}},
      {"a|bc|", {"a", "bc", ""}, {"b", "abc"}},
      {"^(ab)*$", {"", "ab", "abab"}, {"a", "aba"}},
      {"a+b?c{2}", {"acc", "aabcc"}, {"ac", "bcc", "abbcc"}},
      {"x{2,3}?", {"xx", "xxx"}, {"x", "xxxx"}},
      {"[a-c\\d_-]+", {"a-1", "_", "c9"}, {"d", ""}},
      {"[^a-z]", {"A", "\n", "\xC3\xA9", "\xF0\x9F\x98\x80"}, {"q", "\xC3", "AA"}},
      {".", {"a", "\xE4\xB8\xAD"}, {"\n", "\r", "", "\xE2\x80\xA8"}},
      {"\\w+\\s\\W\\S\\D", {"az_09 ;xx"}, {"a bxx", "a ;xx9"}},
      {"\\x41\\u0042\\u{1F600}\\ud83d\\ude00\\cA\\/",
       {"AB\xF0\x9F\x98\x80\xF0\x9F\x98\x80\x01/"},
       {""}},
      {"(?:a(?<n>b|c)){2}", {"abac"}, {"ab", "abacab"}},
      {"(a|ab)(c|bcd)(d*)", {"abcd", "ac", "acdd", "abbcd"}, {"abd"}},
      {"(a*)*b", {"b", "aaab"}, {"a"}},
      {"[]|z", {"z"}, {"", "]"}},
      {"a{0}", {""}, {"a"}},
      {"[\\b]", {"\b"}, {"b"}},
  };
  for (const Example& item : cases) {
    const auto grammar = whole(item.pattern);
    for (const char* text : item.yes) EXPECT_TRUE(matches(grammar, text)) << item.pattern << text;
    for (const char* text : item.no) EXPECT_FALSE(matches(grammar, text)) << item.pattern << text;
  }
}

TEST(Regex, SearchesInTheContentOfJsonStrings) {
  EXPECT_TRUE(matches(in_json("b+"), "abbc"));
  EXPECT_FALSE(matches(in_json("b+"), "ac"));
  EXPECT_TRUE(matches(in_json("^b+"), "bbc"));
  EXPECT_FALSE(matches(in_json("^b+"), "ab"));
  EXPECT_TRUE(matches(in_json("b+$"), "ab"));
  EXPECT_FALSE(matches(in_json("b+$"), "ba"));
  EXPECT_TRUE(matches(in_json("^a|b$"), "ax"));
  EXPECT_TRUE(matches(in_json("^a|b$"), "xb"));
  EXPECT_FALSE(matches(in_json("^a|b$"), "xbx"));
  EXPECT_TRUE(matches(in_json("(^a|b)c"), "ac"));
  EXPECT_FALSE(matches(in_json("(^a|b)c"), "xac"));
  EXPECT_TRUE(matches(in_json("(^a|b)c"), "xbcx"));
  EXPECT_TRUE(matches(in_json("^$"), ""));
  EXPECT_FALSE(matches(in_json("^$"), "a"));
  EXPECT_TRUE(matches(in_json("^"), "anything"));
  // Quotes, backslashes and control characters are escaped, in the one way there is.
  EXPECT_TRUE(matches(in_json("^[\"\\\\\\n\\x01]{4}$"), "\\\"\\\\\\n\\u0001"));
  EXPECT_FALSE(matches(in_json("^\\n$"), "\n"));
  EXPECT_FALSE(matches(in_json("^A$"), "\\u0041"));
}

TEST(Regex, RefusesByName) {
  const char* bad[] = {"(",     ")",          "a**",   "*a",      "[a",          "[z-a]", "a{2,1}",
                       "a{x}",  "\\1",        "\\b",   "\\p{L}",  "(?=a)",       "(?!a)", "(?<=a)",
                       "(?i)a", "\\",         "\\xZZ", "\\ud800", "\\u{110000}", "a^b",   "a$b",
                       "(a^)*", "a{1000001}", "\xFF",  "[\\d-z]"};
  for (const char* pattern : bad) {
    Grammar grammar;
    const auto expr = whole_regex(grammar, pattern);
    ASSERT_FALSE(expr.ok()) << pattern;
    EXPECT_NE(expr.error().message.find("expected "), std::string::npos) << pattern;
  }
  EXPECT_FALSE(parse_regex(std::string(100'000, '(')).ok());
}

TEST(Regex, LongRepetitionsCostLittleAndCountExactly) {
  const auto grammar = whole("(ab|\\d[xyz]{3}){1500,20000}");
  EXPECT_LT(grammar->automaton().state_count(), 6000U);
  std::string text;
  for (int i = 0; i < 1499; ++i) text += i % 3 == 0 ? "7xyz" : "ab";
  EXPECT_EQ(fit(grammar, text), Fit::kPrefix);
  for (int i = 1500; i <= 20000; ++i) {
    text += "ab";
    if (i % 997 == 0 || i == 1500 || i >= 19990) {
      EXPECT_EQ(fit(grammar, text), Fit::kWhole) << i;
    }
  }
  EXPECT_EQ(fit(grammar, text + "a"), Fit::kNo);
}

TEST(Regex, TooLargeIsAnError) {
  const auto build = [](const char* pattern) {
    Grammar grammar;
    const auto expr = whole_regex(grammar, pattern);
    EXPECT_TRUE(expr.ok()) << pattern;
    set_root(grammar, *expr);
    return CompiledGrammar::build(grammar, byte_vocabulary());
  };
  EXPECT_FALSE(build("(a|b)*a(a|b){40}").ok());
  for (const char* pattern :
       {"((a{1000}){1000}){1000}b{7}c", "(((((a?){1000}){1000}){1000}){1000}){1000}"}) {
    const auto result = build(pattern);
    if (!result.ok()) {
      EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted);
    }
  }
}

}  // namespace
}  // namespace fathom::grammar
