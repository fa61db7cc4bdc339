// Requests to Responses and Anthropic's messages that are wrong in generated ways: served, or
// refused in the dialect's own shape and names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "api/anthropic/request.h"
#include "api/responses/request.h"
#include "api/testing/harness.h"

namespace fathom::api {
namespace {

const Json kSchema = {{"type", "object"}, {"properties", {{"x", {{"type", "integer"}}}}}};

// Bodies with something of everything.
Json responses_body() {
  return {{"model", "tiny"},
          {"instructions", "s"},
          {"input", Json::parse(R"([
             {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
             {"type": "reasoning", "id": "r", "summary": [],
              "content": [{"type": "reasoning_text", "text": "t"}]},
             {"type": "message", "role": "assistant",
              "content": [{"type": "output_text", "text": "a"}]},
             {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
             {"type": "function_call_output", "call_id": "c", "output": "r"}])")},
          {"tools", Json::array({{{"type", "function"}, {"name", "f"}, {"parameters", kSchema}}})},
          {"tool_choice", "auto"},
          {"text", {{"format", {{"type", "text"}}}}},
          {"reasoning", {{"effort", "low"}}},
          {"include", {"message.output_text.logprobs"}},
          {"metadata", {{"k", "v"}}},
          {"max_output_tokens", 5}};
}

Json messages_body() {
  return {{"model", "tiny"},
          {"max_tokens", 5},
          {"system", Json::array({{{"type", "text"}, {"text", "s"}}})},
          {"messages", Json::parse(R"([
             {"role": "user", "content": [{"type": "text", "text": "q"}]},
             {"role": "assistant", "content": [
               {"type": "thinking", "thinking": "t", "signature": "s"},
               {"type": "text", "text": "a"},
               {"type": "tool_use", "id": "c", "name": "f", "input": {"x": 1}}]},
             {"role": "user", "content": [
               {"type": "tool_result", "tool_use_id": "c", "content": "r"}]}])")},
          {"tools", Json::array({{{"name", "f"}, {"input_schema", kSchema}}})},
          {"tool_choice", {{"type", "auto"}}},
          {"thinking", {{"type", "enabled"}, {"budget_tokens", 2000}}},
          {"stop_sequences", {"END"}},
          {"metadata", {{"user_id", "u"}}}};
}

const std::vector<Json>& odd_values() {
  static const std::vector<Json> values = {nullptr,
                                           true,
                                           -1.5,
                                           1e99,
                                           std::numeric_limits<uint64_t>::max(),
                                           "",
                                           "x",
                                           Json::array(),
                                           Json::array({Json::object()}),
                                           Json::array({nullptr, 1, "x"}),
                                           Json::object(),
                                           Json{{"type", "x"}},
                                           Json{{"type", "function"}},
                                           Json{{"type", "tool"}, {"name", 1}}};
  return values;
}

// The field that a refusal names; fails the test if it is none in the dialect's shape.
std::string named_by(const FakeWriter& writer) {
  EXPECT_TRUE(writer.response.status == 400 || writer.response.status == 404);
  const Json body = writer.json();
  EXPECT_LT(writer.response.body.size(), 1000u);
  if (body.contains("type")) {
    EXPECT_EQ(body["type"], "error");
    const std::string message = body["error"]["message"];
    return message.substr(0, message.find_first_of(":.["));
  }
  const Json error = expect_error(writer, writer.response.status);
  const std::string param = error["param"].is_string() ? error["param"].get<std::string>() : "";
  return param.substr(0, param.find_first_of(".["));
}

template <typename Request>
void mutate_fields(const char* path, const Json& body, const FieldTable<Request>& table) {
  Harness harness;
  int refused = 0;
  for (const Field<Request>& field : table) {
    const std::string name = field.info.name;
    for (const Json& value : odd_values()) {
      Json changed = body;
      changed[name] = value;
      SCOPED_TRACE(name + ": " + value.dump());
      const size_t running = harness.engine.requests.size();
      const auto writer = harness.post(path, changed);
      if (harness.engine.requests.size() > running) continue;
      ++refused;
      const std::string named = named_by(*writer);
      if (writer->response.status == 404) continue;  // no such model
      EXPECT_EQ(named, name) << writer->response.body;
    }
  }
  EXPECT_GT(refused, 150);
}

TEST(BadDialectRequests, RefusalsNameTheFieldAsTheDialectDoes) {
  mutate_fields("/v1/responses", responses_body(), responses::responses_field_table());
  mutate_fields("/v1/messages", messages_body(), anthropic::messages_field_table());
}

// Some value anywhere within the body.
Json& somewhere(Json& value, std::mt19937& random) {
  if (!value.is_structured() || value.empty() || random() % 4 == 0) return value;
  auto at = value.begin();
  std::advance(at, random() % value.size());
  return somewhere(*at, random);
}

TEST(BadDialectRequests, AreServedOrRefusedWhateverIsWrongWhereverItIs) {
  std::mt19937 random(5);
  Harness harness;
  int refused = 0;
  for (int round = 0; round < 1500; ++round) {
    const bool anthropic = round % 2 == 0;
    Json body = anthropic ? messages_body() : responses_body();
    Json& target = somewhere(body, random);
    target = odd_values()[random() % odd_values().size()];
    SCOPED_TRACE(body.dump());
    const size_t running = harness.engine.requests.size();
    const auto writer = harness.post(anthropic ? "/v1/messages" : "/v1/responses", body);
    if (harness.engine.requests.size() == running) {
      ++refused;
      named_by(*writer);
      continue;
    }
    harness.engine.text(running, "ok");
    if (!harness.engine.requests[running].cancelled) harness.engine.finish(running);
    EXPECT_TRUE(writer->response.status == 200);
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace fathom::api
