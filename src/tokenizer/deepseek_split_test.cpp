#include "tokenizer/deepseek_split.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/unicode_classes.h"

namespace fathom::tokenizer {
namespace {

using Pieces = std::vector<std::string>;

Pieces pieces(const PreTokenizer& pre_tokenizer, const std::string& text) {
  std::vector<size_t> ends;
  pre_tokenizer.split(text, ends);
  Pieces out;
  size_t begin = 0;
  for (const size_t end : ends) {
    out.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  EXPECT_EQ(begin, text.size());
  return out;
}

PreTokenizer hand_written() {
  std::vector<SplitPattern> patterns;
  for (const std::string& pattern : deepseek_split_patterns()) patterns.push_back({pattern, ""});
  return PreTokenizer::create(patterns).value();
}

// The same patterns, not recognised by their text: these go to PCRE2.
PreTokenizer by_regex() {
  std::vector<SplitPattern> patterns;
  for (const std::string& pattern : deepseek_split_patterns()) {
    patterns.push_back({"(?:" + pattern + ")", ""});
  }
  return PreTokenizer::create(patterns).value();
}

TEST(DeepSeekSplit, SplitsAsThePatternsSay) {
  const PreTokenizer splitter = hand_written();
  EXPECT_EQ(pieces(splitter, "Hello, world!\n"), (Pieces{"Hello", ",", " world", "!\n"}));
  EXPECT_EQ(pieces(splitter, "x=12345;"), (Pieces{"x", "=", "123", "45", ";"}));
  EXPECT_EQ(pieces(splitter, "(foo) 'tis"), (Pieces{"(foo", ")", " '", "tis"}));
  EXPECT_EQ(pieces(splitter, "你好hello世界カナ"), (Pieces{"你好", "hello", "世界カナ"}));
  EXPECT_EQ(pieces(splitter, "a  b   1 \n\n  c"),
            (Pieces{"a", " ", " b", "   ", "1", " \n\n", " ", " c"}));
  EXPECT_EQ(pieces(splitter,
                   "\x01\x02"
                   "ab\x03"),
            (Pieces{"\x01",
                    "\x02"
                    "ab",
                    "\x03"}));
  EXPECT_EQ(pieces(splitter, "\t.\t\t."), (Pieces{"\t", ".", "\t", "\t", "."}));
  EXPECT_EQ(pieces(splitter, "caf\u00e9 e\u0301 .\u00e9a"), (Pieces{"caf\u00e9", " e\u0301", " .",
                                                                    "\u00e9"
                                                                    "a"}));
  // The third pattern cuts the second one's pieces, too.
  EXPECT_EQ(pieces(splitter, "テスト・ケース"), (Pieces{"テスト", "・", "ケース"}));
  EXPECT_EQ(pieces(splitter, ""), Pieces{});
}

// Characters of every kind the patterns tell apart, and of each length in UTF-8. All were assigned
// before Unicode 14, the oldest version that supported PCRE2 libraries have.
const std::vector<std::u32string> kAlphabets = {
    U"aZ\u00e9\u0416\u05d0\U00010400",                    // letters
    U"\u0301\u093e\u20dd\U000e0101",                      // marks
    U"05\u00b2\u0663\u2160\U0001d7ce",                    // numbers
    U"!'/@[`{~._\u00a1\u2014\u3001\uff01\U00010100",      // punctuation
    U"$+<=^|\u00a9\u20ac\u2192\U0001f600",                // symbols
    U"   \t\v\f\u0085\u00a0\u2003\u2028\u3000",           // white space
    U"\n\r\n",                                            // line ends
    U"\u4e00\u9fa5\u3040\u309f\u30a0\u30ff\u3099\u30fb",  // the second pattern's
    U"\u3400\u9fa6\u3100\u303f\uf900\U00020000",          // just outside it
    std::u32string(U"\0\x01\x7f\u00ad\u180e\u200b\ue000\ufeff\U000f0000", 9),  // none of these
};

std::string random_text(std::mt19937& random) {
  std::string text;
  const size_t length = random() % 24;
  while (text.size() < length) {
    const std::u32string& alphabet = kAlphabets[random() % kAlphabets.size()];
    const char32_t code = alphabet[random() % alphabet.size()];
    for (size_t repeat = random() % 3 + 1; repeat > 0; --repeat) append_utf8(code, text);
  }
  return text;
}

TEST(DeepSeekSplit, EqualsTheRegularExpressions) {
  const PreTokenizer fast = hand_written();
  const PreTokenizer reference = by_regex();
  std::mt19937 random(1);
  for (int i = 0; i < 20'000; ++i) {
    const std::string text = random_text(random);
    ASSERT_EQ(pieces(fast, text), pieces(reference, text)) << testing::PrintToString(text);
  }
}

// Every pair of ASCII characters, between letters and alone.
TEST(DeepSeekSplit, EqualsTheRegularExpressionsOnAllAsciiPairs) {
  const PreTokenizer fast = hand_written();
  const PreTokenizer reference = by_regex();
  for (int first = 0; first < 128; ++first) {
    for (int second = 0; second < 128; ++second) {
      const std::string pair = {static_cast<char>(first), static_cast<char>(second)};
      for (const std::string& text : {pair, pair + "b", "a" + pair + pair}) {
        ASSERT_EQ(pieces(fast, text), pieces(reference, text)) << testing::PrintToString(text);
      }
    }
  }
}

TEST(DeepSeekSplit, ClassesOfKnownCharacters) {
  EXPECT_EQ(char_class(U'a'), CharClass::kLetter);
  EXPECT_EQ(char_class(U'\u0301'), CharClass::kMark);
  EXPECT_EQ(char_class(U'\u2160'), CharClass::kNumber);
  EXPECT_EQ(char_class(U'_'), CharClass::kPunctuation);
  EXPECT_EQ(char_class(U'\U0001f600'), CharClass::kSymbol);
  EXPECT_EQ(char_class(U'\u0085'), CharClass::kSpace);
  EXPECT_EQ(char_class(U'\u180e'), CharClass::kOther);
  EXPECT_EQ(char_class(0x10FFFF), CharClass::kOther);
}

}  // namespace
}  // namespace fathom::tokenizer
