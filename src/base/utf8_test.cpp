#include "base/utf8.h"

#include <gtest/gtest.h>

namespace fathom {
namespace {

struct Case {
  std::string bytes;
  std::string repaired;
};

// The examples of the Unicode Standard, chapter 3.9, tables 3-8 to 3-11, and the borders.
TEST(Utf8, ReplacesEachMaximalIllFormedPart) {
  const std::string r(kReplacementCharacter);
  const std::vector<Case> cases = {
      {"", ""},
      {"plain", "plain"},
      {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", r + r + r + r + r + r + r + r + "A"},
      {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", r + r + r + r + r + "A" + r + r + "B"},
      {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", r + r + r + r + "A"},
      {"\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
      {"\xEE\x80\x80", "\xEE\x80\x80"},
      {"a\xE4\xBD", "a" + r},
      {"\xF0\x9F\x98", r},
      {"\xC2", r},
      {std::string("\0", 1), std::string("\0", 1)},
      {"12345678\xFF"
       "12345678",
       "12345678" + r + "12345678"},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(replace_invalid_utf8(c.bytes), c.repaired) << testing::PrintToString(c.bytes);
  }
}

TEST(Utf8, ValidPrefixEndsAtTheFirstIllFormedByte) {
  EXPECT_EQ(valid_utf8_prefix("twelve bytes"), 12u);
  EXPECT_EQ(valid_utf8_prefix("你好\xFF"), 6u);
  EXPECT_EQ(valid_utf8_prefix("你\xE5\xA5"), 3u);
}

TEST(Utf8, EncodesAndDecodesTheBordersOfEachLength) {
  for (const char32_t code : {0x0, 0x7F, 0x80, 0x7FF, 0x800, 0xFFFF, 0x10000, 0x10FFFF}) {
    std::string bytes;
    append_utf8(code, bytes);
    EXPECT_EQ(scan_utf8(bytes).unit, Utf8Unit::kCharacter);
    const DecodedCharacter decoded = decode_valid_utf8(bytes.data());
    EXPECT_EQ(decoded.code, code);
    EXPECT_EQ(decoded.length, bytes.size());
  }
}

TEST(Utf8, TakingWholeCharactersLeavesTheBeginningOfTheLast) {
  std::string buffer = "a\xFF\xE4\xBD";
  std::string out = "-";
  take_whole_characters(buffer, out);
  EXPECT_EQ(out, "-a" + std::string(kReplacementCharacter));
  EXPECT_EQ(buffer, "\xE4\xBD");
  buffer += "\xA0";
  take_whole_characters(buffer, out);
  EXPECT_EQ(out, "-a" + std::string(kReplacementCharacter) + "你");
  EXPECT_EQ(buffer, "");
}

}  // namespace
}  // namespace fathom
