// /v1/responses from the request's bytes to the answer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Json kResponsesTool = {{"type", "function"},
                             {"name", "f"},
                             {"parameters", {{"type", "object"}, {"properties", Json::object()}}}};

std::shared_ptr<FakeWriter> ask_responses(Harness& harness, const Json& extra = Json::object()) {
  Json body = {{"model", "tiny"}, {"input", "hi"}};
  body.update(extra);
  return harness.post("/v1/responses", body);
}

Json answer(Harness& harness, const std::string& text, const Json& extra = Json::object()) {
  const size_t index = harness.engine.requests.size();
  const auto writer = ask_responses(harness, extra);
  if (harness.engine.requests.size() == index) {
    ADD_FAILURE() << writer->response.body;
    return {};
  }
  harness.engine.text(index, text);
  harness.engine.finish(index);
  return writer->json();
}

std::vector<std::string> types(const std::vector<Json>& events) {
  std::vector<std::string> types;
  for (const Json& event : events) types.push_back(event["type"]);
  return types;
}

std::string last_responses_prompt(const Harness& harness) {
  return prompt_text(harness, harness.engine.requests.size() - 1);
}

TEST(Responses, AnswersWhole) {
  Harness harness;
  const Json body = answer(harness, "Hello", {{"instructions", "be brief"}, {"temperature", 0.5}});
  EXPECT_EQ(last_responses_prompt(harness), "<｜bos｜>[system:be brief][user:hi]<think></think>");
  EXPECT_EQ(body["object"], "response");
  EXPECT_EQ(body["status"], "completed");
  EXPECT_EQ(body["temperature"], 0.5);
  EXPECT_EQ(body["instructions"], "be brief");
  ASSERT_EQ(body["output"].size(), 1u);
  EXPECT_EQ(body["output"][0]["type"], "message");
  EXPECT_EQ(body["output"][0]["status"], "completed");
  EXPECT_EQ(body["output"][0]["content"][0]["text"], "Hello");
  EXPECT_EQ(body["usage"]["output_tokens"], 5);
  EXPECT_EQ(body["usage"]["total_tokens"], body["usage"]["input_tokens"].get<int>() + 5);
}

TEST(Responses, StreamsItemByItem) {
  Harness harness;
  const auto writer = ask_responses(harness, {{"stream", true},
                                              {"reasoning", {{"effort", "high"}}},
                                              {"tools", Json::array({kResponsesTool})}});
  EXPECT_TRUE(last_responses_prompt(harness).ends_with("<think>"));
  harness.engine.text(0, "a");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "b");
  harness.engine.token(0, kCallsBeginId);
  harness.engine.token(0, kCallBeginId);
  harness.engine.text(0, "f");
  harness.engine.token(0, kCallSepId);
  harness.engine.text(0, "{}");
  harness.engine.token(0, kCallEndId);
  harness.engine.token(0, kCallsEndId);
  harness.engine.finish(0);
  EXPECT_TRUE(writer->ended);
  EXPECT_THAT(writer->stream, HasSubstr("event: response.created\ndata: {"));
  EXPECT_THAT(writer->stream, testing::Not(HasSubstr("[DONE]")));
  const auto events = writer->events();
  EXPECT_THAT(
      types(events),
      ElementsAre("response.created", "response.in_progress",  //
                  "response.output_item.added", "response.content_part.added",
                  "response.reasoning_text.delta", "response.reasoning_text.done",
                  "response.content_part.done", "response.output_item.done",
                  "response.output_item.added", "response.content_part.added",
                  "response.output_text.delta", "response.output_text.done",
                  "response.content_part.done", "response.output_item.done",
                  "response.output_item.added", "response.function_call_arguments.delta",
                  "response.function_call_arguments.delta", "response.function_call_arguments.done",
                  "response.output_item.done", "response.completed"));
  for (size_t i = 0; i < events.size(); ++i) EXPECT_EQ(events[i]["sequence_number"], i);
  const Json& output = events.back()["response"]["output"];
  ASSERT_EQ(output.size(), 3u);
  EXPECT_EQ(output[0]["content"][0]["text"], "a");
  EXPECT_EQ(output[1]["content"][0]["text"], "b");
  EXPECT_EQ(output[2]["name"], "f");
  EXPECT_EQ(output[2]["arguments"], "{}");
  EXPECT_EQ(events[14]["output_index"], 2);
  EXPECT_EQ(events[15]["item_id"], output[2]["id"]);
}

TEST(Responses, ItemsBecomeTheTurnsOfAChat) {
  Harness harness;
  const Json input = Json::parse(R"([
    {"role": "developer", "content": "sys"},
    {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
    {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "t"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{\"x\":1}"},
    {"type": "function_call", "call_id": "c2", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c1", "output": "r"}])");
  ask_responses(harness, {{"input", input}});
  EXPECT_EQ(
      last_responses_prompt(harness),
      "<｜bos｜>[system:sys][user:q][assistant:a(f {\"x\": 1})(f {})][tool:r]<think></think>");
}

TEST(Responses, GoOnFromAStoredOne) {
  Harness harness;
  const Json first = answer(harness, "one", {{"instructions", "only now"}});
  const Json second =
      answer(harness, "two", {{"previous_response_id", first["id"]}, {"input", "more"}});
  EXPECT_EQ(last_responses_prompt(harness),
            "<｜bos｜>[user:hi][assistant:one][user:more]<think></think>");
  EXPECT_EQ(second["previous_response_id"], first["id"]);
  answer(harness, "x", {{"previous_response_id", second["id"]}, {"input", "end"}});
  EXPECT_EQ(last_responses_prompt(harness),
            "<｜bos｜>[user:hi][assistant:one][user:more][assistant:two]"
            "[user:end]<think></think>");
}

TEST(Responses, StoredOnesCanBeReadListedAndForgotten) {
  Harness harness;
  const Json first = answer(harness, "one");
  const Json second = answer(harness, "two", {{"previous_response_id", first["id"]}});
  const std::string path = "/v1/responses/" + second["id"].get<std::string>();
  EXPECT_EQ(harness.request(net::Method::kGet, path)->json(), second);

  const Json items = harness.request(net::Method::kGet, path + "/input_items")->json();
  ASSERT_EQ(items["data"].size(), 3u);  // the newest first
  EXPECT_EQ(items["data"][1]["content"][0]["text"], "one");
  EXPECT_EQ(items["has_more"], false);

  expect_error(*harness.post(path + "/cancel", Json::object()), 400);
  const Json gone = harness.request(net::Method::kDelete, path)->json();
  EXPECT_EQ(gone["deleted"], true);
  expect_error(*harness.request(net::Method::kGet, path), 404);
  expect_error(*harness.request(net::Method::kDelete, path), 404);
  EXPECT_EQ(
      expect_error(*ask_responses(harness, {{"previous_response_id", second["id"]}}), 400)["param"],
      "previous_response_id");

  const Json unkept = answer(harness, "x", {{"store", false}});
  expect_error(
      *harness.request(net::Method::kGet, "/v1/responses/" + unkept["id"].get<std::string>()), 404);
}

TEST(Responses, PagesOfItems) {
  Harness harness;
  const Json input = Json::parse(R"([{"id": "m1", "role": "user", "content": "1"},
    {"id": "m2", "role": "user", "content": "2"}, {"id": "m3", "role": "user", "content": "3"}])");
  const Json body = answer(harness, "x", {{"input", input}});
  const auto page = [&](const std::string& query) {
    net::HttpRequest request;
    request.method = net::Method::kGet;
    request.path = "/v1/responses/" + body["id"].get<std::string>() + "/input_items";
    request.query = query;
    const auto writer = std::make_shared<FakeWriter>();
    harness.service->handle(std::move(request), writer);
    return writer;
  };
  const Json first = page("order=asc&limit=2")->json();
  EXPECT_EQ(first["has_more"], true);
  EXPECT_EQ(first["first_id"], "m1");
  EXPECT_EQ(first["last_id"], "m2");
  const Json rest = page("order=asc&after=m2")->json();
  EXPECT_EQ(rest["data"].size(), 1u);
  EXPECT_EQ(rest["data"][0]["id"], "m3");
  for (const char* wrong : {"limit=0", "limit=101", "limit=x", "order=up", "after=m9"}) {
    expect_error(*page(wrong), 400);
  }
}

TEST(Responses, EndAtTheLimitIncomplete) {
  Harness harness;
  const auto writer = ask_responses(harness, {{"max_output_tokens", 1}});
  EXPECT_EQ(harness.engine.requests[0].request.sampling.max_tokens, 1);
  harness.engine.text(0, "x");
  harness.engine.finish(0, engine::FinishReason::kLength);
  const Json body = writer->json();
  EXPECT_EQ(body["status"], "incomplete");
  EXPECT_EQ(body["incomplete_details"]["reason"], "max_output_tokens");
  EXPECT_EQ(body["output"][0]["status"], "incomplete");
}

TEST(Responses, AFailureWithinAStreamIsAnEvent) {
  Harness harness;
  const auto writer = ask_responses(harness, {{"stream", true}});
  harness.engine.text(0, "x");
  harness.engine.fail(0, "broken");
  const auto events = writer->events();
  EXPECT_EQ(events[events.size() - 2]["type"], "response.failed");
  EXPECT_EQ(events[events.size() - 2]["response"]["error"]["message"], "broken");
  EXPECT_EQ(events.back()["type"], "error");
  EXPECT_TRUE(writer->ended);
}

TEST(Responses, LogProbabilitiesWhenIncluded) {
  Harness harness;
  const Json body =
      answer(harness, "ab", {{"include", {"message.output_text.logprobs"}}, {"top_logprobs", 2}});
  const Json& logprobs = body["output"][0]["content"][0]["logprobs"];
  ASSERT_EQ(logprobs.size(), 2u);
  EXPECT_EQ(logprobs[0]["token"], "a");
  EXPECT_EQ(logprobs[0]["top_logprobs"].size(), 2u);
}

TEST(Responses, RefusalsNameTheirOwnFields) {
  Harness harness;
  const auto param = [&](const Json& extra) {
    return expect_error(*ask_responses(harness, extra), 400)["param"].get<std::string>();
  };
  EXPECT_EQ(param({{"max_output_tokens", -1}}), "max_output_tokens");
  EXPECT_EQ(param({{"text", {{"format", {{"type", "xml"}}}}}}), "text.format.type");
  EXPECT_EQ(param({{"tools", {{{"name", "f"}}}}}), "tools[0].type");
  EXPECT_EQ(param({{"tools", {{{"type", "function"}, {"name", "a b"}}}}}), "tools[0].name");
  EXPECT_EQ(param({{"input", {{{"role", "user"}, {"content", {{{"type", "input_image"}}}}}}}}),
            "input[0].content[0].type");
  EXPECT_EQ(param({{"input", {{{"type", "item_reference"}, {"id", "x"}}}}}), "input[0].type");
  EXPECT_EQ(param({{"input", Json::array()}}), "input");
  EXPECT_EQ(param({{"input", std::string(2000, 'x')}}), "input");
  EXPECT_EQ(param({{"background", true}}), "background");
  EXPECT_EQ(param({{"conversation", "c"}}), "conversation");
  EXPECT_TRUE(harness.engine.requests.empty());
}

TEST(Responses, CountTheirPrompt) {
  Harness harness;
  const Json counted =
      harness.post("/v1/responses/input_tokens", {{"model", "tiny"}, {"input", "hi"}})->json();
  const Json body = answer(harness, "x");
  EXPECT_EQ(counted["object"], "response.input_tokens");
  EXPECT_EQ(counted["input_tokens"], body["usage"]["input_tokens"]);
}

TEST(Responses, AllowedToolsAreAsInChats) {
  Harness harness;
  const Json tools =
      Json::parse(R"([{"type": "function", "name": "f"}, {"type": "function", "name": "g"}])");
  const auto ask = [&](const char* name) {
    return harness.post("/v1/responses",
                        {{"input", "x"},
                         {"tools", tools},
                         {"tool_choice",
                          {{"type", "allowed_tools"},
                           {"mode", "required"},
                           {"tools", Json::array({{{"type", "function"}, {"name", name}}})}}}});
  };
  ask("f");
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_NE(harness.engine.requests[0].request.grammar, nullptr);
  EXPECT_EQ(expect_error(*ask("h"), 400)["param"], "tool_choice.tools");
}

}  // namespace
}  // namespace fathom::api
