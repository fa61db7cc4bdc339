#include "api/text/text_search.h"

#include <gtest/gtest.h>

namespace fathom::api {
namespace {

TEST(TextSearch, FindsTheFirstAndThereTheLongest) {
  const std::vector<std::string> needles = {"bc", "bcd", "a"};
  EXPECT_EQ(find_first("xbcd", needles)->begin, 1u);
  EXPECT_EQ(find_first("xbcd", needles)->needle, 1u);
  EXPECT_EQ(find_first("xbca", needles)->needle, 0u);
  EXPECT_FALSE(find_first("xyz", needles));
}

TEST(TextSearch, HoldsBackTheLongestBeginning) {
  EXPECT_EQ(longest_partial_match("xab", {"abc"}), 2u);
  EXPECT_EQ(longest_partial_match("aaa", {"aab"}), 2u);
  EXPECT_EQ(longest_partial_match("xa", {"b", "abc"}), 1u);
  EXPECT_EQ(longest_partial_match("abc", {"abc"}), 0u);
  EXPECT_EQ(longest_partial_match("", {"abc"}), 0u);
}

TEST(TextSearch, CountsCharacters) {
  EXPECT_EQ(count_characters("a\xE4\xBD\xA0\xF0\x9F\x98\x80"), 3u);
}

}  // namespace
}  // namespace fathom::api
