// Tools and items in /v1/responses that are no plain functions: custom tools, namespaces, and what
// only OpenAI runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::Contains;
using testing::HasSubstr;

std::shared_ptr<FakeWriter> ask_with(Harness& harness, const std::string& extra) {
  Json body = {{"model", "tiny"}, {"input", "hi"}};
  body.update(Json::parse(extra));
  return harness.post("/v1/responses", body);
}

void say_call(Harness& harness, const std::string& name, const std::string& arguments) {
  harness.engine.token(0, kCallsBeginId);
  harness.engine.token(0, kCallBeginId);
  harness.engine.text(0, name);
  harness.engine.token(0, kCallSepId);
  harness.engine.text(0, arguments);
  harness.engine.token(0, kCallEndId);
  harness.engine.token(0, kCallsEndId);
  harness.engine.finish(0);
}

const char* const kNoteTool = R"({"tools": [{"type": "custom", "name": "note"}]})";

TEST(ClientTools, ACustomToolIsCalledWithText) {
  Harness harness;
  const auto writer = ask_with(harness, kNoteTool);
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  EXPECT_THAT(prompt_text(harness, 0), HasSubstr("[tools:1]"));
  say_call(harness, "note", R"({"input": "milk\n\"2\""})");
  const Json body = writer->json();
  const Json item = body["output"][0];
  EXPECT_EQ(item["type"], "custom_tool_call");
  EXPECT_TRUE(item["id"].get<std::string>().starts_with("ctc_"));
  EXPECT_TRUE(item["call_id"].get<std::string>().starts_with("call_"));
  EXPECT_EQ(item["name"], "note");
  EXPECT_EQ(item["input"], "milk\n\"2\"");
  EXPECT_EQ(item["status"], "completed");
  EXPECT_FALSE(item.contains("arguments"));
  EXPECT_EQ(body["tools"], Json::parse(kNoteTool)["tools"]);
}

TEST(ClientTools, TheInputOfACustomToolIsStreamed) {
  Harness harness;
  Json extra = Json::parse(kNoteTool);
  extra["stream"] = true;
  const auto writer = ask_with(harness, extra.dump());
  say_call(harness, "note", R"({"input": "milk\n2"})");
  std::string streamed;
  std::vector<std::string> types;
  Json done;
  int64_t number = 0;
  for (const Json& event : writer->events()) {
    EXPECT_EQ(event["sequence_number"], number++);
    types.push_back(event["type"]);
    if (types.back() == "response.custom_tool_call_input.delta") {
      streamed += event["delta"].get<std::string>();
      EXPECT_EQ(event["output_index"], 0);
    }
    if (types.back() == "response.custom_tool_call_input.done") done = event;
  }
  EXPECT_EQ(streamed, "milk\n2");
  EXPECT_EQ(done["input"], "milk\n2");
  EXPECT_THAT(types, Contains("response.output_item.added"));
  EXPECT_THAT(types, Contains("response.output_item.done"));
  EXPECT_THAT(types, testing::Not(Contains("response.function_call_arguments.delta")));
  EXPECT_EQ(std::count(types.begin(), types.end(), "response.custom_tool_call_input.delta"), 6);
}

TEST(ClientTools, ACustomToolMayBeForced) {
  Harness harness;
  ask_with(harness, R"({"tools": [{"type": "custom", "name": "note"}],
                   "tool_choice": {"type": "custom", "name": "note"}})");
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_NE(harness.engine.requests[0].request.grammar, nullptr);
  EXPECT_EQ(expect_error(*ask_with(harness, R"({"tools": [{"type": "custom", "name": "note"}],
                "tool_choice": {"type": "custom", "name": "other"}})"),
                         400)["param"],
            "tool_choice.name");
}

TEST(ClientTools, AFunctionOfANamespaceIsToldWithIt) {
  Harness harness;
  const auto writer = ask_with(harness, R"({"tools": [{"type": "namespace", "name": "files",
      "description": "", "tools": [{"type": "function", "name": "read"}]}]})");
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  say_call(harness, "files__read", R"({"path": "a"})");
  const Json item = writer->json()["output"][0];
  EXPECT_EQ(item["type"], "function_call");
  EXPECT_EQ(item["name"], "read");
  EXPECT_EQ(item["namespace"], "files");
  EXPECT_EQ(item["arguments"], R"({"path": "a"})");
}

TEST(ClientTools, LogProbabilitiesDoNotCutCalls) {
  for (const char* stream : {"false", "true"}) {
    Harness harness;
    const auto writer =
        ask_with(harness, std::string(R"({"include": ["message.output_text.logprobs"],
        "tools": [{"type": "function", "name": "f"}], "stream": )") +
                              stream + "}");
    ASSERT_EQ(harness.engine.requests.size(), 1u);
    harness.engine.text(0, "ok");
    say_call(harness, "f", R"({"a": 1})");
    const Json body = writer->streaming ? writer->events().back()["response"] : writer->json();
    ASSERT_EQ(body["output"].size(), 2u);
    const Json content = body["output"][0]["content"][0];
    EXPECT_EQ(content["text"], "ok");
    EXPECT_GE(content["logprobs"].size(), 2u);
    EXPECT_EQ(body["output"][1]["arguments"], R"({"a": 1})");
    EXPECT_EQ(body["output"][1]["status"], "completed");
  }
}

TEST(ClientTools, WhatOnlyOpenAiRunsIsLeftOut) {
  Harness harness;
  const auto writer =
      ask_with(harness, R"({"tools": [{"type": "web_search"}, {"type": "local_shell"},
      {"type": "image_generation"}, {"type": "function", "name": "f"}]})");
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  EXPECT_THAT(prompt_text(harness, 0), HasSubstr("[tools:1]"));
  say_call(harness, "f", "{}");
  EXPECT_EQ(writer->json()["output"][0]["type"], "function_call");
  EXPECT_EQ(writer->json()["tools"].size(), 1u);
  EXPECT_THAT(writer->header("x-fathom-warning"), HasSubstr("tools[0]: web_search is left out"));
  // Errors name the tools as the request counts them.
  EXPECT_EQ(expect_error(*ask_with(harness, R"({"tools": [{"type": "web_search"},
                {"type": "function", "name": "a b"}]})"),
                         400)["param"],
            "tools[1].name");
  // Without any tool none can be required, and of allowed ones none is left.
  const auto alone = [&](const std::string& choice) {
    return ask_with(harness,
                    R"({"tools": [{"type": "web_search"}], "tool_choice": )" + choice + "}");
  };
  EXPECT_EQ(expect_error(*alone("\"required\""), 400)["param"], "tool_choice");
  EXPECT_EQ(expect_error(*alone(R"({"type": "web_search"})"), 400)["param"], "tool_choice.type");
  alone(R"({"type": "allowed_tools", "mode": "auto", "tools": [{"type": "web_search"}]})");
  EXPECT_EQ(harness.engine.requests.size(), 2u);
}

TEST(ClientTools, TheirHistoryIsTaken) {
  Harness harness;
  const auto writer = ask_with(harness, R"({"input": [
      {"role": "user", "content": "a"},
      {"type": "custom_tool_call", "call_id": "c1", "name": "note", "input": "milk"},
      {"type": "custom_tool_call_output", "call_id": "c1", "output": "done"},
      {"type": "function_call", "call_id": "c2", "name": "read", "namespace": "files",
       "arguments": "{}"},
      {"type": "function_call_output", "call_id": "c2", "output": [
        {"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:,"}]},
      {"role": "assistant", "content": [{"type": "refusal", "refusal": "I cannot."}]},
      {"role": "user", "content": "b"}]})");
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  EXPECT_EQ(prompt_text(harness, 0),
            "<｜bos｜>[user:a][assistant:(note {\"input\": \"milk\"})][tool:done]"
            "[assistant:(files__read {})]"
            "[tool:x\n[image left out: this model reads text only]]"
            "[assistant:I cannot.][user:b]<think></think>");
  harness.engine.finish(0);
  const std::string id = writer->json()["id"];
  const auto items =
      harness.request(net::Method::kGet, "/v1/responses/" + id + "/input_items")->json();
  EXPECT_EQ(items["data"].size(), 7u);
  EXPECT_EQ(items["data"][5]["input"], "milk");
  // The next turn knows them, too.
  ask_with(harness, R"({"previous_response_id": ")" + id + R"("})");
  EXPECT_THAT(prompt_text(harness, 1), HasSubstr("(note {\"input\": \"milk\"})][tool:done]"));
}

TEST(ClientTools, TheItemsOfOpenAisToolsAreTaken) {
  Harness harness;
  const auto writer = ask_with(harness, R"({"input": [
      {"role": "user", "content": "a"},
      {"type": "web_search_call", "id": "ws_1", "status": "completed",
       "action": {"type": "search", "query": "q"}},
      {"type": "local_shell_call", "id": "l1", "call_id": "c1", "status": "completed",
       "action": {"type": "exec", "command": ["ls"]}},
      {"type": "local_shell_call_output", "id": "c1", "output": "file"},
      {"type": "computer_call", "id": "p1", "call_id": "c2", "action": {"type": "screenshot"}},
      {"type": "computer_call_output", "call_id": "c2",
       "output": {"type": "computer_screenshot", "image_url": "data:,AAAA"}},
      {"type": "mcp_list_tools", "id": "m0", "server_label": "s", "tools": []},
      {"type": "mcp_call", "id": "m1", "server_label": "s", "name": "roll", "arguments": "{}",
       "output": "4"},
      {"role": "user", "content": "b"}]})");
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  const std::string prompt = prompt_text(harness, 0);
  EXPECT_THAT(prompt, HasSubstr("[tool:file]"));
  EXPECT_THAT(prompt, HasSubstr("(local_shell {\"action\": {\"type\": \"exec\""));
  EXPECT_THAT(prompt,
              HasSubstr("[tool:[computer_screenshot left out: this model reads text only]]"));
  EXPECT_THAT(prompt, HasSubstr("(roll {})][tool:4]"));
  EXPECT_THAT(prompt, testing::Not(HasSubstr("AAAA")));
  EXPECT_EQ(
      expect_error(*ask_with(harness, R"({"input": [{"type": "x_call_output", "call_id": "c"}]})"),
                   400)["param"],
      "input[0].output");
  EXPECT_EQ(expect_error(*ask_with(harness, R"({"input": [{"type": "mcp_call", "name": 1}]})"),
                         400)["param"],
            "input[0].name");
}

TEST(ClientTools, AnthropicsOwnAreLeftOutToo) {
  Harness harness;
  const Json body = Json::parse(R"({"model": "tiny", "max_tokens": 9,
      "tools": [{"type": "web_search_20250305", "name": "web_search"},
                {"name": "f", "input_schema": {"type": "object"}}],
      "messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "found"}]}, {"role": "user", "content": "b"}]})");
  const auto writer = harness.post("/v1/messages", body);
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  EXPECT_EQ(prompt_text(harness, 0),
            "<｜bos｜>[user:a][assistant:found][user:b][tools:1]<think></think>");
  harness.engine.finish(0);
  EXPECT_THAT(writer->header("x-fathom-warning"), HasSubstr("tools[0]: web_search_20250305"));
  Json wrong = body;
  wrong["tools"][1]["name"] = "a b";
  EXPECT_THAT(harness.post("/v1/messages", wrong)->response.body, HasSubstr("tools[1].name"));
}

}  // namespace
}  // namespace fathom::api
