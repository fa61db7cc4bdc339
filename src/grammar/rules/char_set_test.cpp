#include "grammar/rules/char_set.h"

#include <gtest/gtest.h>

#include <random>

namespace fathom::grammar {
namespace {

bool sequences_match(const std::vector<Utf8Sequence>& sequences, std::string_view bytes) {
  size_t count = 0;
  for (const Utf8Sequence& sequence : sequences) {
    bool fits = sequence.length == bytes.size();
    for (size_t i = 0; fits && i < bytes.size(); ++i) {
      const auto byte = static_cast<uint8_t>(bytes[i]);
      fits = sequence.bytes[i].first <= byte && byte <= sequence.bytes[i].last;
    }
    count += fits ? 1 : 0;
  }
  EXPECT_LE(count, 1U);
  return count == 1;
}

TEST(CharSet, MergesSplitsAndComplements) {
  CharSet set{{'c', 'd'}, {'a', 'b'}, {'x', 'z'}};
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'a', 'd'}, {'x', 'z'}}));
  set.add('e', 'w');
  EXPECT_EQ(set.ranges(), (std::vector<CharRange>{{'a', 'z'}}));
  EXPECT_EQ(set.complement().complement().ranges(), set.ranges());
  EXPECT_TRUE(set.intersect(set.complement()).empty());
  EXPECT_EQ(set.minus({{'b', 'y'}}).ranges(), (std::vector<CharRange>{{'a', 'a'}, {'z', 'z'}}));
}

TEST(CharSet, HasNoSurrogates) {
  EXPECT_EQ(CharSet::all().ranges(), (std::vector<CharRange>{{0, 0xD7FF}, {0xE000, 0x10FFFF}}));
  EXPECT_TRUE(CharSet({{0xD800, 0xDFFF}}).empty());
  EXPECT_TRUE(CharSet::all().complement().empty());
}

TEST(CharSet, Utf8SequencesMatchExactlyTheMembers) {
  std::mt19937 random(7);
  const char32_t borders[] = {0,      0x7F,   0x80,   0x7FF,   0x800,   0xFFF,   0x1000,
                              0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0x10FFFF};
  for (int round = 0; round < 40; ++round) {
    CharSet set;
    for (int i = 0; i < 3; ++i) {
      const char32_t first = borders[random() % 14] + (random() % 3);
      set.add(first, first + random() % (1U << random() % 18));
    }
    const auto sequences = utf8_sequences(set);
    for (char32_t code = 0; code <= 0x10FFFF; code += 1 + random() % 37) {
      if (code >= 0xD800 && code <= 0xDFFF) continue;
      std::string bytes;
      append_utf8(code, bytes);
      ASSERT_EQ(sequences_match(sequences, bytes), set.contains(code))
          << static_cast<uint32_t>(code);
      const DecodedChar decoded = decode_utf8(bytes);
      ASSERT_TRUE(decoded.code == code);
      ASSERT_EQ(decoded.length, bytes.size());
    }
  }
}

TEST(CharSet, DecodingRefusesWhatIsNotUtf8) {
  for (const std::string_view bytes :
       {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF0\x80\x80\x80",
        "\xF4\x90\x80\x80", "\xFF", "\xC2", ""}) {
    EXPECT_EQ(decode_utf8(bytes).length, 0U) << bytes.size();
  }
}

TEST(CharSet, OfRangesInAnyOrderIsWhatAddingThemGives) {
  const std::vector<CharRange> ranges = {{'x', 'z'},       {'a', 'c'},       {'b', 'f'},
                                         {'g', 'h'},       {'q', 'p'},       {0xD000, 0xD800},
                                         {0xDFFF, 0xE001}, {0xE002, 0xE003}, {'b', 'b'}};
  CharSet added;
  for (const CharRange& range : ranges) added.add(range.first, range.last);
  EXPECT_EQ(CharSet(ranges).ranges(), added.ranges());
  EXPECT_EQ(CharSet(ranges).complement().complement().ranges(), added.ranges());
  EXPECT_TRUE(CharSet(std::vector<CharRange>()).empty());
}

}  // namespace
}  // namespace fathom::grammar
