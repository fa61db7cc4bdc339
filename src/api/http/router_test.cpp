#include "api/http/router.h"

#include <gtest/gtest.h>

#include <string>

namespace fathom::api {
namespace {

using net::Method;

void handle_nothing(HandlerContext&, const Call&, const ReplyPtr&) {}

Route route_of(Method method, const char* pattern, ErrorShape errors = ErrorShape::kOpenAi) {
  return {.method = method,
          .pattern = pattern,
          .summary = "",
          .kind = RouteKind::kQuick,
          .handle = handle_nothing,
          .errors = errors};
}

const Router& small_router() {
  static const Router router(
      {route_of(Method::kPost, "/v1/things"), route_of(Method::kGet, "/v1/things/{id}/parts"),
       route_of(Method::kGet, "/v1/things/{id}"), route_of(Method::kDelete, "/v1/things/{id}"),
       route_of(Method::kPost, "/v1/talk", ErrorShape::kAnthropic)});
  return router;
}

std::string pattern_of(Method method, const char* path) {
  const auto match = small_router().match(method, path);
  return match ? match->route->pattern : "";
}

TEST(Router, TakesTheFirstPatternThatFits) {
  EXPECT_EQ(pattern_of(Method::kPost, "/v1/things"), "/v1/things");
  EXPECT_EQ(pattern_of(Method::kGet, "/v1/things/7"), "/v1/things/{id}");
  EXPECT_EQ(pattern_of(Method::kGet, "/v1/things/7/parts"), "/v1/things/{id}/parts");
  EXPECT_EQ(pattern_of(Method::kGet, "/v1/thing"), "");
  EXPECT_EQ(pattern_of(Method::kGet, "/v1/things/7/part"), "/v1/things/{id}");
}

TEST(Router, PrefixesAndIdleSlashesMeanNothing) {
  for (const char* path : {"/things/7", "/beta/things/7", "/beta/v1/things/7", "//v1//things/7/"}) {
    EXPECT_EQ(pattern_of(Method::kGet, path), "/v1/things/{id}") << path;
  }
  EXPECT_EQ(pattern_of(Method::kPost, "/anthropic/v1/talk"), "/v1/talk");
  EXPECT_EQ(pattern_of(Method::kPost, "/anthropic/v1/things"), "");
}

TEST(Router, DecodesTheArgument) {
  EXPECT_EQ(small_router().match(Method::kGet, "/v1/things/a%2Fb")->argument, "a/b");
  EXPECT_FALSE(small_router().match(Method::kGet, "/v1/things/%zz"));
}

TEST(Router, TellsTheMethodsOfAPath) {
  const auto get = small_router().match(Method::kHead, "/v1/things/7");
  EXPECT_TRUE(get->allowed);
  EXPECT_EQ(get->allow, "GET, HEAD, DELETE");
  const auto put = small_router().match(Method::kPut, "/v1/things/7");
  EXPECT_FALSE(put->allowed);
  EXPECT_EQ(put->allow, "GET, HEAD, DELETE");
}

}  // namespace
}  // namespace fathom::api
