// What a request may cost before the engine sees it.
#include <gmock/gmock.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;

Json tool(const std::string& name, const Json& parameters, bool strict) {
  return {{"type", "function"},
          {"function", {{"name", name}, {"parameters", parameters}, {"strict", strict}}}};
}

Json costly_schema(int number) {
  const std::string pattern = "^" + std::to_string(number) + "(a{0,10000}){0,10000}$";
  return {{"type", "object"}, {"properties", {{"p", {{"type", "string"}, {"pattern", pattern}}}}}};
}

Json plain_schema(int number) {
  Json properties = Json::object();
  for (int i = 0; i < 10; ++i) {
    const std::string name = "p" + std::to_string(number) + "_" + std::to_string(i);
    properties[name] = {{"type", "string"}, {"description", "a value"}};
  }
  return {{"type", "object"}, {"properties", properties}};
}

TEST(WorkBeforeEngine, ToolsShareOneBudget) {
  Harness harness;
  Json tools = Json::array();
  for (int i = 0; i < 64; ++i)
    tools.push_back(tool("f" + std::to_string(i), costly_schema(i), false));
  harness.chat({{"tools", tools}, {"tool_choice", "required"}});
  ASSERT_EQ(harness.engine.requests.size(), 1U);
  EXPECT_NE(harness.engine.requests[0].request.grammar, nullptr);

  tools.push_back(tool("kept_to", costly_schema(64), true));
  const auto refused = harness.chat({{"tools", tools}, {"tool_choice", "required"}});
  EXPECT_THAT(expect_error(*refused, 400)["message"].get<std::string>(), HasSubstr("tools[64]"));
}

TEST(WorkBeforeEngine, HasRoomForManyTools) {
  for (const bool strict : {false, true}) {
    Harness harness;
    Json tools = Json::array();
    for (int i = 0; i < 128; ++i) {
      tools.push_back(tool("f" + std::to_string(i), plain_schema(i), strict));
    }
    const auto writer = harness.chat({{"tools", tools}, {"tool_choice", "required"}});
    ASSERT_EQ(harness.engine.requests.size(), 1U) << writer->response.body;
  }
}

TEST(WorkBeforeEngine, TextThatCannotFitIsNotTokenized) {
  Harness harness;
  const std::string text(200'000, 'a');
  const Json messages = Json::array({{{"role", "user"}, {"content", text}}});
  const std::pair<const char*, Json> requests[] = {
      {"/tokenize", {{"prompt", text}}},
      {"/tokenize", {{"messages", messages}}},
      {"/v1/completions", {{"prompt", text}}},
      {"/v1/chat/completions", {{"messages", messages}}},
      {"/v1/responses/input_tokens", {{"input", text}}},
  };
  for (const auto& [path, body] : requests) {
    const Json error = expect_error(*harness.post(path, body), 400);
    EXPECT_EQ(error["code"], "context_length_exceeded") << path;
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("maximum context length is 1000"));
  }
  // Longer than the context, but text of long tokens would not be.
  const Json counted = harness.post("/tokenize", {{"prompt", std::string(5000, 'a')}})->json();
  EXPECT_EQ(counted["count"], 1251);
}

TEST(WorkBeforeEngine, WhatMayTakeLongWaitsApart) {
  Harness harness;
  const auto lane = [&](const std::string& body, const char* path = "/v1/messages") {
    net::HttpRequest request;
    request.method = net::Method::kPost;
    request.path = path;
    request.body = body;
    return harness.service->lane(request);
  };
  EXPECT_EQ(lane(""), net::Lane::kQuick);
  EXPECT_EQ(lane(R"({"prompt":"caf\u00e9 \u4f60"})"), net::Lane::kShort);
  EXPECT_EQ(lane(R"({"tools":[]})"), net::Lane::kHeavy);
  EXPECT_EQ(lane(R"({"response_format":{}})"), net::Lane::kHeavy);
  EXPECT_EQ(lane(R"({"too\u006cs":[]})"), net::Lane::kHeavy);
  EXPECT_EQ(lane(std::string(100'000, ' ')), net::Lane::kHeavy);
  // Counting compiles nothing.
  EXPECT_EQ(lane(R"({"tools":[]})", "/v1/messages/count_tokens"), net::Lane::kShort);
  EXPECT_EQ(lane(std::string(100'000, ' '), "/tokenize"), net::Lane::kHeavy);
}

}  // namespace
}  // namespace fathom::api
