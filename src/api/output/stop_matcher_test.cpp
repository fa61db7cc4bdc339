#include "api/output/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>

namespace fathom::api {
namespace {

std::string joined(const std::vector<Piece>& pieces) {
  std::string text;
  for (const Piece& piece : pieces) text += piece.text;
  return text;
}

TEST(StopMatcher, FindsAcrossPiecesAndLeavesItOut) {
  StopMatcher matcher({"STOP"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"ab S"}, true, out));
  EXPECT_EQ(joined(out), "ab ");
  EXPECT_FALSE(matcher.feed({"TO"}, true, out));
  EXPECT_EQ(joined(out), "ab ");
  EXPECT_TRUE(matcher.feed({"P more"}, true, out));
  EXPECT_EQ(joined(out), "ab ");
  EXPECT_EQ(matcher.released(), 3u);
  EXPECT_EQ(matcher.found(), "STOP");
}

TEST(StopMatcher, SaysWhichOneItFound) {
  StopMatcher matcher({"b", "ab", "zz"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"xa"}, true, out));
  EXPECT_EQ(matcher.found(), std::nullopt);
  EXPECT_TRUE(matcher.feed({"bzz"}, true, out));
  EXPECT_EQ(matcher.found(), "ab");
}

TEST(StopMatcher, GivesBackWhatWasNone) {
  StopMatcher matcher({"STOP"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"ST"}, true, out));
  EXPECT_TRUE(out.empty());
  EXPECT_FALSE(matcher.feed({"AR"}, true, out));
  EXPECT_EQ(joined(out), "STAR");
  EXPECT_FALSE(matcher.feed({"ST"}, true, out));
  matcher.flush(out);
  EXPECT_EQ(joined(out), "STARST");
}

TEST(StopMatcher, PassesEverythingBeforeItMayStop) {
  StopMatcher matcher({"x"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"axb"}, false, out));
  EXPECT_EQ(joined(out), "axb");
  EXPECT_TRUE(matcher.feed({"cxd"}, true, out));
  EXPECT_EQ(joined(out), "axbc");
}

TEST(StopMatcher, KeepsMarkersApartAndInOrder) {
  StopMatcher matcher({"</think>\n\nyes"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"a"}, true, out));
  EXPECT_FALSE(matcher.feed({"</think>", Marker::kThinkEnd}, true, out));
  EXPECT_EQ(out, (std::vector<Piece>{{"a"}}));
  EXPECT_FALSE(matcher.feed({"\n\nno"}, true, out));
  EXPECT_EQ(out, (std::vector<Piece>{{"a"}, {"</think>", Marker::kThinkEnd}, {"\n\nno"}}));
}

TEST(StopMatcher, AStopStringMayCutAMarker) {
  StopMatcher matcher({"</think>"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"a"}, true, out));
  EXPECT_TRUE(matcher.feed({"</think>", Marker::kThinkEnd}, true, out));
  EXPECT_EQ(out, (std::vector<Piece>{{"a"}}));
}

TEST(StopMatcher, PassesMarkersWithoutText) {
  StopMatcher matcher({"zz"});
  std::vector<Piece> out;
  EXPECT_FALSE(matcher.feed({"", Marker::kThinkEnd}, true, out));
  EXPECT_FALSE(matcher.feed({"z"}, true, out));
  EXPECT_FALSE(matcher.feed({"", Marker::kThinkEnd}, true, out));
  EXPECT_EQ(out.size(), 1u);
  EXPECT_TRUE(matcher.feed({"z"}, true, out));
}

// However a text is cut, the result is what searching the whole text gives.
TEST(StopMatcher, DoesNotDependOnTheCuts) {
  std::mt19937 random(7);
  const std::vector<std::string> stops = {"abab", "bb", "aac"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i) text += static_cast<char>('a' + random() % 3);
    size_t expected = text.size();
    for (const std::string& stop : stops) expected = std::min(expected, text.find(stop));

    StopMatcher matcher(stops);
    std::vector<Piece> out;
    bool stopped = false;
    for (size_t at = 0; at < text.size() && !stopped;) {
      const size_t length = 1 + random() % 4;
      stopped = matcher.feed({text.substr(at, length)}, true, out);
      at += length;
    }
    if (!stopped) matcher.flush(out);
    EXPECT_EQ(joined(out), text.substr(0, expected)) << text;
    EXPECT_EQ(stopped, expected < text.size()) << text;
  }
}

}  // namespace
}  // namespace fathom::api
