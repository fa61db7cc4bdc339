// The description holds what the tables and the routes hold, and what it says is so.
#include "api/openapi.h"

#include <gtest/gtest.h>

#include "api/anthropic/request.h"
#include "api/responses/request.h"
#include "api/routes.h"
#include "api/schema/chat.h"
#include "api/schema/completion.h"
#include "api/schema/tokenize.h"
#include "api/testing/harness.h"

namespace fathom::api {
namespace {

const Json& body_of(const Json& document, const char* path) {
  return document["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"];
}

template <typename Request>
void expect_fields(const Json& schema, const FieldTable<Request>& table) {
  for (const auto& field : table) {
    ASSERT_TRUE(schema["properties"].contains(field.info.name)) << field.info.name;
    const Json& property = schema["properties"][field.info.name];
    EXPECT_FALSE(property["description"].get<std::string>().empty()) << field.info.name;
    for (const Json& type :
         property["type"].is_array() ? property["type"] : Json::array({property["type"]})) {
      const std::set<std::string> known = {"string", "number", "integer", "boolean",
                                           "array",  "object", "null"};
      EXPECT_TRUE(known.contains(type.get<std::string>())) << field.info.name << ": " << type;
    }
  }
}

TEST(OpenApi, DescribesEveryFieldOfEveryTable) {
  const Json document = openapi_document(routes().routes(), "1.2.3");
  EXPECT_EQ(document["info"]["version"], "1.2.3");
  for (const char* path : {"/v1/chat/completions", "/v1/completions"}) {
    expect_fields(body_of(document, path), generation_field_table());
  }
  expect_fields(body_of(document, "/v1/chat/completions"), chat_field_table());
  expect_fields(body_of(document, "/v1/completions"), completion_field_table());
  expect_fields(body_of(document, "/v1/responses"), responses::responses_field_table());
  expect_fields(body_of(document, "/v1/messages"), anthropic::messages_field_table());
  expect_fields(body_of(document, "/tokenize"), tokenize_field_table());
  expect_fields(body_of(document, "/detokenize"), detokenize_field_table());
  EXPECT_EQ(body_of(document, "/v1/chat/completions")["required"], Json::array({"messages"}));
  const Json& temperature = body_of(document, "/v1/messages")["properties"]["temperature"];
  EXPECT_EQ(temperature["minimum"], 0);
  EXPECT_EQ(temperature["maximum"], 2);
  EXPECT_EQ(temperature["default"], 1);
}

TEST(OpenApi, DescribesEveryRouteAndNoOther) {
  const Json document = openapi_document(routes().routes(), "1");
  size_t operations = 0;
  for (const auto& [path, methods] : document["paths"].items()) operations += methods.size();
  EXPECT_EQ(operations, routes().routes().size());
  for (const Route& route : routes().routes()) {
    std::string path = route.pattern;
    if (const size_t open = path.find('{'); open != path.npos) {
      path.replace(open, path.find('}') - open + 1, "x");
    }
    const auto match = routes().match(route.method, path);
    ASSERT_TRUE(match) << path;
    EXPECT_EQ(match->route, &route) << path;
    EXPECT_TRUE(match->allowed) << path;
  }
}

TEST(OpenApi, NumbersOutsideTheirDescribedRangeAreRefused) {
  Harness harness;
  const Json document = openapi_document(routes().routes(), "1");
  const std::map<std::string, Json> good = {
      {"/v1/chat/completions", {{"messages", Json::array({{{"role", "user"}, {"content", "x"}}})}}},
      {"/v1/completions", {{"prompt", "x"}}},
      {"/v1/responses", {{"input", "x"}}},
      {"/v1/messages",
       {{"model", "tiny"},
        {"max_tokens", 1},
        {"messages", Json::array({{{"role", "user"}, {"content", "x"}}})}}}};
  for (const auto& [path, body] : good) {
    for (const auto& [name, property] : body_of(document, path.c_str())["properties"].items()) {
      for (const auto& [limit, step] : {std::pair("minimum", -1), {"maximum", 1}}) {
        if (!property.contains(limit)) continue;
        Json wrong = body;
        wrong[name] = property[limit].get<double>() + step;
        EXPECT_EQ(harness.post(path, wrong)->response.status, 400) << path << " " << name;
      }
    }
  }
  EXPECT_TRUE(harness.engine.requests.empty());
}

TEST(OpenApi, IsServed) {
  Harness harness;
  const auto writer = harness.request(net::Method::kGet, "/openapi.json");
  EXPECT_EQ(writer->json(), openapi_document(routes().routes(), "1.2.3"));
}

}  // namespace
}  // namespace fathom::api
