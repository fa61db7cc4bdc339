#include "api/text/json_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace fathom::api {
namespace {

std::string refusal(std::string_view text, JsonLimits limits = {}) {
  const auto parsed = parse_json(text, limits);
  return parsed ? "accepted" : parsed.error().message;
}

std::string nested(size_t depth) {
  return std::string(depth, '[') + std::string(depth, ']');
}

TEST(JsonText, NamesThePositionOfWhatIsWrong) {
  EXPECT_THAT(refusal("{\"a\": 1,\n \"b\" 2}"), testing::HasSubstr("at line 2, column 6"));
  EXPECT_NE(refusal(""), "accepted");
  EXPECT_NE(refusal("{\"a\": 1} x"), "accepted");
  EXPECT_NE(refusal("{\"a\": NaN}"), "accepted");
  EXPECT_NE(refusal("{\"a\": 1e999}"), "accepted");
  EXPECT_NE(refusal("{'a': 1}"), "accepted");
}

TEST(JsonText, RefusesStringsThatAreNoUtf8) {
  EXPECT_NE(refusal("[\"\xC3(\"]"), "accepted");
  EXPECT_NE(refusal("[\"\xFF\"]"), "accepted");
  EXPECT_NE(refusal("[\"\xED\xA0\x80\"]"), "accepted");  // a surrogate
  EXPECT_NE(refusal("[\"\\ud800\"]"), "accepted");
  EXPECT_EQ(refusal("[\"\\ud83d\\ude00 \xE4\xBD\xA0\"]"), "accepted");
}

TEST(JsonText, LimitsDepthBeforeParsing) {
  EXPECT_EQ(refusal(nested(64)), "accepted");
  EXPECT_THAT(refusal(nested(65)), testing::HasSubstr("at most 64 nested"));
  EXPECT_THAT(refusal(std::string(1'000'000, '[')), testing::HasSubstr("nested"));
  EXPECT_EQ(refusal("[\"" + std::string(100, '[') + "\\\"\"]"), "accepted");
}

TEST(JsonText, LimitsValuesAndKeys) {
  JsonLimits limits;
  limits.max_values = 4;
  EXPECT_EQ(refusal("[1,2,3]", limits), "accepted");
  EXPECT_THAT(refusal("[1,2,3,4,5]", limits), testing::HasSubstr("at most 4 values"));
  limits = {};
  limits.max_keys = 2;
  EXPECT_EQ(refusal("{\"a\":[1,2,3,4],\"b\":2}", limits), "accepted");
  EXPECT_THAT(refusal("{\"a\":1,\"b\":2,\"c\":3}", limits), testing::HasSubstr("2 keys"));
  limits = {};
  limits.max_key_pairs = 10;
  EXPECT_EQ(refusal("[{\"a\":1,\"b\":2},{\"a\":1,\"b\":2}]", limits), "accepted");
  EXPECT_NE(refusal("[{\"a\":1,\"b\":2},{\"a\":1,\"b\":2},{\"a\":1,\"b\":2}]", limits), "accepted");
}

TEST(JsonText, OfAKeyGivenTwiceTheLastCounts) {
  EXPECT_EQ((*parse_json("{\"a\": 1, \"a\": 2}"))["a"], 2);
}

TEST(JsonText, DumpReplacesWhatIsNoUtf8) {
  EXPECT_EQ(dump_json(Json("a\xFFz")), "\"a\xEF\xBF\xBDz\"");
}

TEST(JsonText, ShortensBetweenCharacters) {
  EXPECT_EQ(shorten("abc", 3), "abc");
  EXPECT_EQ(shorten("abcd", 3), "abc...");
  EXPECT_EQ(shorten("a\xE4\xBD\xA0", 2), "a...");
}

TEST(JsonText, LongGarbageGivesAShortMessage) {
  EXPECT_LT(refusal("\"" + std::string(100'000, 'x')).size(), 600u);
}

}  // namespace
}  // namespace fathom::api
