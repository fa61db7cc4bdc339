#include "tokenizer/regex.h"

#include <gtest/gtest.h>

#include <string>

#include "tokenizer/regex_syntax.h"

namespace fathom::tokenizer {
namespace {

std::vector<std::string> pieces(const std::string& pattern, const std::string& text) {
  const Result<Regex> regex = Regex::compile(pattern);
  if (!regex) return {regex.error().message};
  Regex::Matcher matcher;
  std::vector<size_t> ends;
  constexpr size_t kBase = 7;
  regex->split(matcher, text, kBase, ends);
  std::vector<std::string> out;
  size_t begin = 0;
  for (const size_t end : ends) {
    out.push_back(text.substr(begin, end - kBase - begin));
    begin = end - kBase;
  }
  return out;
}

using Pieces = std::vector<std::string>;

TEST(Regex, IsolatesMatchesAndWhatIsBetweenThem) {
  EXPECT_EQ(pieces("[0-9]{1,3}", "a12345b"), (Pieces{"a", "123", "45", "b"}));
  EXPECT_EQ(pieces("b", "aaa"), (Pieces{"aaa"}));
  EXPECT_EQ(pieces("a", ""), Pieces{});
}

TEST(Regex, EmptyMatchesCutAtCharactersAndEnd) {
  EXPECT_EQ(pieces("x*", "a你xxb"), (Pieces{"a", "你", "xx", "b"}));
  EXPECT_EQ(pieces("(?=b)", "abab"), (Pieces{"a", "ba", "b"}));
}

TEST(Regex, WhiteSpaceIsUnicodes) {
  EXPECT_EQ(pieces(R"(\s+)", "a\u3000\u2003\u00a0b\u180ec\u200bd"),
            (Pieces{"a", "\u3000\u2003\u00a0", "b\u180ec\u200bd"}));
  EXPECT_EQ(pieces(R"([^\s\p{L}]+)", "a \x01\u180e-b"), (Pieces{"a ", "\x01\u180e-", "b"}));
  EXPECT_EQ(pieces(R"(\S+)", " a\u180e "), (Pieces{" ", "a\u180e", " "}));
}

TEST(Regex, UnderstandsTheSyntaxOfSplitPatterns) {
  EXPECT_EQ(pieces(R"((?i:'s|'t)|\p{Lu}\p{Ll}*+)", "It'S OnE"),
            (Pieces{"It", "'S", " ", "On", "E"}));
  EXPECT_EQ(pieces(R"(\p{Han}+)", "漢字かな"), (Pieces{"漢字", "かな"}));
  EXPECT_EQ(pieces(R"([]a]+|\x41|\u00e9|\x{1F600})", "]a-AAé😀"),
            (Pieces{"]a", "-", "A", "A", "é", "😀"}));
  EXPECT_EQ(pieces(R"(^\d+$)", "1\n22\nx3"), (Pieces{"1", "\n", "22", "\nx3"}));
}

// Syntax that PCRE2 would accept with another meaning, or that reaches beyond matching.
TEST(Regex, RefusesWhatItWouldMisread) {
  for (const char* pattern :
       {R"(\w+)",      R"(\b)",      R"(\h)",         R"(a\K)",      R"((a)\1)", R"((?R))",
        R"((?x:a b))", R"((*UTF)a)", "[a[b]]",        "[[:alpha:]]", "[a&&b]",   R"([\S])",
        "a{,3}",       "a{2}+",      "a{2}?",         "a{x}",        "a{",       R"(\p{L)",
        R"(\pL)",      R"(\p{^L})",  R"(\p{L&})",     R"(\xZ)",      R"(\u12)",  R"(\)",
        "[a",          R"(\v)",      R"((?<name>a))", R"((?C1)a)"}) {
    const Result<std::string> translated = pcre2_from_oniguruma(pattern);
    ASSERT_FALSE(translated.ok()) << pattern << " became " << *translated;
    EXPECT_EQ(translated.error().code, ErrorCode::kUnsupported);
    EXPECT_NE(translated.error().message.find("expected"), std::string::npos) << pattern;
  }
}

TEST(Regex, RefusesBrokenAndOversizedPatterns) {
  const std::string deep(2000, '(');
  const std::string huge = "(((((a{1000}){1000}){1000}){1000}){1000})";
  for (const std::string& pattern :
       {std::string(), std::string("(a"), std::string("a)"), std::string("*a"),
        std::string("[b-a]"), std::string(R"(\p{Nonsense})"), std::string(R"(\x{D800})"),
        std::string(R"((?<=a+)b)"), deep, huge, std::string(20'000, 'a')}) {
    const Result<Regex> regex = Regex::compile(pattern);
    ASSERT_FALSE(regex.ok()) << pattern.substr(0, 50);
    EXPECT_NE(regex.error().message.find("expected"), std::string::npos);
  }
}

// A pattern whose backtracking doubles with each letter gives up before it comes to its match.
TEST(Regex, BoundsBacktracking) {
  const std::string text = std::string(5'000, 'a') + "-ab";
  EXPECT_EQ(pieces("(?:a|a)+[bc]", "aaaa-ab"), (Pieces{"aaaa-", "ab"}));
  EXPECT_EQ(pieces("(?:a|a)+[bc]", text), Pieces{text});
  EXPECT_EQ(pieces("(?:a+)+[bc]", text), Pieces{text});
}

TEST(Regex, LongMatchesDoNotOverflowAStack) {
  const std::string text(1'000'000, 'a');
  EXPECT_EQ(pieces(R"([\p{L}\p{M}]+)", text), Pieces{text});
  const std::string spaces(1'000'000, ' ');
  EXPECT_EQ(pieces(R"(\s*[\r\n]+|\s+(?!\S)|\s+)", spaces + " x"), (Pieces{spaces, " ", "x"}));
}

}  // namespace
}  // namespace fathom::tokenizer
