#include "net/http.h"

#include <gtest/gtest.h>

namespace fathom::net {
namespace {

TEST(Http, MethodsAreCaseSensitive) {
  EXPECT_EQ(method_from_text("POST"), Method::kPost);
  EXPECT_EQ(method_from_text("OPTIONS"), Method::kOptions);
  EXPECT_EQ(method_from_text("post"), Method::kOther);
  EXPECT_EQ(method_from_text(""), Method::kOther);
}

TEST(Http, FindsHeadersInAnyCaseAndTheFirstOfSeveral) {
  HttpRequest request;
  request.headers = {{"X-Thing", "1"}, {"x-thing", "2"}, {"x-thing-too", "3"}};
  ASSERT_NE(request.header("x-THING"), nullptr);
  EXPECT_EQ(*request.header("x-THING"), "1");
  EXPECT_EQ(request.header("x-thin"), nullptr);
}

TEST(Http, PercentDecoding) {
  EXPECT_EQ(percent_decode("a%20b+c%e4%BD%A0", false), "a b+c\xE4\xBD\xA0");
  EXPECT_EQ(percent_decode("a+b", true), "a b");
  EXPECT_EQ(percent_decode("%00", false), std::string(1, '\0'));
  for (const char* bad : {"%", "%4", "%4g", "%g4", "a%%41"}) {
    EXPECT_EQ(percent_decode(bad, false), std::nullopt) << bad;
  }
}

TEST(Http, QueryParameters) {
  EXPECT_EQ(query_parameter("a=1&b=two+words&b=3", "b"), "two words");
  EXPECT_EQ(query_parameter("a=1&%62=x%3Dy", "b"), "x=y");
  EXPECT_EQ(query_parameter("flag&a", "flag"), "");
  EXPECT_EQ(query_parameter("a=", "a"), "");
  EXPECT_EQ(query_parameter("a=1", "b"), std::nullopt);
  EXPECT_EQ(query_parameter("", "a"), std::nullopt);
  EXPECT_EQ(query_parameter("a=%zz", "a"), std::nullopt);
}

}  // namespace
}  // namespace fathom::net
