// /v1/messages from the request's bytes to the answer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const Json kTool = {{"name", "f"}, {"input_schema", {{"type", "object"}}}};

Json body_with(const Json& extra) {
  Json body = {{"model", "tiny"},
               {"max_tokens", 100},
               {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})}};
  body.update(extra);
  return body;
}

std::shared_ptr<FakeWriter> ask(Harness& harness, const Json& extra = Json::object()) {
  return harness.post("/v1/messages", body_with(extra));
}

void call(Harness& harness, const std::string& name, const std::string& arguments) {
  harness.engine.token(0, kCallsBeginId);
  harness.engine.token(0, kCallBeginId);
  harness.engine.text(0, name);
  harness.engine.token(0, kCallSepId);
  harness.engine.text(0, arguments);
  harness.engine.token(0, kCallEndId);
  harness.engine.token(0, kCallsEndId);
  harness.engine.finish(0);
}

std::string last_prompt(const Harness& harness) {
  return prompt_text(harness, harness.engine.requests.size() - 1);
}

// Fails the test unless the answer is an error in Anthropic's shape; returns its message.
std::string refusal(const FakeWriter& writer, int status, const std::string& type) {
  EXPECT_EQ(writer.response.status, status) << writer.response.body;
  const Json body = writer.json();
  EXPECT_EQ(body["type"], "error");
  EXPECT_EQ(body["error"]["type"], type);
  EXPECT_FALSE(writer.header("request-id").empty());
  return body["error"]["message"];
}

TEST(Messages, AnswersWhole) {
  Harness harness;
  const auto writer =
      ask(harness,
          {{"system", "be brief"}, {"temperature", 0.5}, {"min_tokens", 2}, {"ignore_eos", true}});
  EXPECT_EQ(last_prompt(harness), "<｜bos｜>[system:be brief][user:hi]<think></think>");
  EXPECT_EQ(harness.engine.requests[0].request.sampling.max_tokens, 100);
  EXPECT_EQ(harness.engine.requests[0].request.sampling.temperature, 0.5f);
  EXPECT_EQ(harness.engine.requests[0].request.sampling.min_tokens, 2);
  EXPECT_TRUE(harness.engine.requests[0].request.sampling.ignore_eos);
  harness.engine.text(0, "Hello");
  harness.engine.finish(0);
  const Json body = writer->json();
  EXPECT_EQ(body["type"], "message");
  EXPECT_EQ(body["role"], "assistant");
  EXPECT_EQ(body["content"], Json::parse(R"([{"type": "text", "text": "Hello"}])"));
  EXPECT_EQ(body["stop_reason"], "end_turn");
  EXPECT_EQ(body["usage"]["output_tokens"], 5);
  EXPECT_EQ(body["usage"]["input_tokens"], harness.engine.requests[0].request.prompt.size());
}

TEST(Messages, SayWhichStopSequenceEndedThem) {
  for (const bool stream : {false, true}) {
    Harness harness;
    const auto writer = ask(harness, {{"stop_sequences", {"no", "END"}}, {"stream", stream}});
    harness.engine.text(0, "x ENDy");
    const Json end =
        stream ? writer->events()[writer->events().size() - 2]["delta"] : writer->json();
    EXPECT_EQ(end["stop_reason"], "stop_sequence");
    EXPECT_EQ(end["stop_sequence"], "END");
  }
  Harness harness;
  const auto writer = ask(harness, {{"stop_sequences", {"END"}}});
  harness.engine.text(0, "x");
  harness.engine.finish(0);
  EXPECT_EQ(writer->json()["stop_reason"], "end_turn");
  EXPECT_EQ(writer->json()["stop_sequence"], nullptr);
}

TEST(Messages, StreamBlockByBlock) {
  Harness harness;
  const auto writer = ask(harness, {{"stream", true},
                                    {"thinking", {{"type", "enabled"}, {"budget_tokens", 2000}}},
                                    {"tools", Json::array({kTool})}});
  EXPECT_TRUE(last_prompt(harness).ends_with("<think>"));
  harness.engine.text(0, "a");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "b");
  call(harness, "f", "{}");
  std::vector<std::string> types;
  for (const Json& event : writer->events()) types.push_back(event["type"]);
  EXPECT_THAT(types, ElementsAre("message_start",                               //
                                 "content_block_start", "content_block_delta",  // thinking
                                 "content_block_delta", "content_block_stop",   // its signature
                                 "content_block_start", "content_block_delta",  // text
                                 "content_block_stop",                          //
                                 "content_block_start", "content_block_delta",  // the call
                                 "content_block_delta", "content_block_stop",   //
                                 "message_delta", "message_stop"));
  EXPECT_THAT(writer->stream, HasSubstr("event: message_start\ndata: {"));
  const auto events = writer->events();
  EXPECT_EQ(events[2]["delta"], (Json{{"type", "thinking_delta"}, {"thinking", "a"}}));
  EXPECT_EQ(events[3]["delta"]["type"], "signature_delta");
  EXPECT_EQ(events[6]["delta"], (Json{{"type", "text_delta"}, {"text", "b"}}));
  EXPECT_EQ(events[8]["content_block"]["name"], "f");
  EXPECT_EQ(events[8]["index"], 2);
  EXPECT_EQ(events[9]["delta"], (Json{{"type", "input_json_delta"}, {"partial_json", "{"}}));
  EXPECT_EQ(events[12]["delta"]["stop_reason"], "tool_use");
  EXPECT_TRUE(writer->ended);
}

TEST(Messages, ACallsInputIsAnObjectWhateverTheModelWrote) {
  for (const auto& [written, input] : {std::pair<std::string, Json>{R"({"x": 1})", {{"x", 1}}},
                                       {"{bad", {{"arguments", "{bad"}}}}) {
    Harness harness;
    const auto writer = ask(harness, {{"tools", Json::array({kTool})}});
    call(harness, "f", written);
    EXPECT_EQ(writer->json()["content"][0]["input"], input);
    EXPECT_EQ(writer->json()["stop_reason"], "tool_use");
  }
}

TEST(Messages, BlocksBecomeTheTurnsOfAChat) {
  Harness harness;
  ask(harness, {{"messages", Json::parse(R"([
    {"role": "user", "content": [{"type": "text", "text": "q"}]},
    {"role": "assistant", "content": [
      {"type": "thinking", "thinking": "t", "signature": "s"},
      {"type": "text", "text": "a"},
      {"type": "tool_use", "id": "c1", "name": "f", "input": {"x": 1}}]},
    {"role": "user", "content": [
      {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "r"}]},
      {"type": "text", "text": "and?"}]},
    {"role": "system", "content": "brief"}])")}});
  EXPECT_EQ(last_prompt(harness),
            "<｜bos｜>[user:q][assistant:a(f {\"x\": "
            "1})][tool:r][user:and?][system:brief]<think></think>");
}

TEST(Messages, AnAnswerThatIsBegunGoesOn) {
  Harness harness;
  ask(harness, {{"messages", Json::parse(R"([{"role": "user", "content": "q"},
                                             {"role": "assistant", "content": "It is"}])")}});
  EXPECT_EQ(last_prompt(harness), "<｜bos｜>[user:q]<think></think>It is");
}

TEST(Messages, CountTheirPrompt) {
  Harness harness;
  const Json counted =
      harness.post("/v1/messages/count_tokens", body_with({{"max_tokens", nullptr}}))->json();
  ask(harness);
  EXPECT_EQ(counted["input_tokens"], harness.engine.requests[0].request.prompt.size());
}

TEST(Messages, RefusalsHaveAnthropicsShapeAndNames) {
  Harness harness;
  const auto message = [&](const Json& extra) {
    return refusal(*ask(harness, extra), 400, "invalid_request_error");
  };
  EXPECT_THAT(message({{"max_tokens", nullptr}}), HasSubstr("max_tokens: expected"));
  EXPECT_THAT(message({{"temperature", 9}}), HasSubstr("temperature: expected"));
  EXPECT_THAT(message({{"stop_sequences", {""}}}), HasSubstr("stop_sequences[0]: expected"));
  EXPECT_THAT(message({{"tools", {{{"name", "f"}, {"input_schema", 1}}}}}),
              HasSubstr("tools[0].input_schema: expected"));
  EXPECT_THAT(message({{"tools", {{{"type", "bash_20250124"}, {"name", "bash"}}}}}),
              HasSubstr("tools[0].type: expected"));
  EXPECT_THAT(message({{"messages", {{{"role", "user"}, {"content", {{{"type", "image"}}}}}}}}),
              HasSubstr("messages[0].content[0].type: expected"));
  EXPECT_THAT(message({{"messages", Json::array()}}), HasSubstr("messages: expected"));
  EXPECT_THAT(message({{"thinking", {{"type", "enabled"}, {"budget_tokens", 1}}}}),
              HasSubstr("thinking.budget_tokens: expected"));
  refusal(*ask(harness, {{"model", "claude"}}), 404, "not_found_error");
  const auto old =
      harness.request(net::Method::kPost, "/v1/messages", dump_json(body_with(Json::object())),
                      {{"anthropic-version", "latest"}});
  EXPECT_THAT(refusal(*old, 400, "invalid_request_error"), HasSubstr("anthropic-version"));
  harness.engine.refusal = Error{ErrorCode::kResourceExhausted, "full"};
  refusal(*ask(harness), 429, "rate_limit_error");
}

TEST(Messages, AFailureWithinAStreamIsAnEvent) {
  Harness harness;
  const auto writer = ask(harness, {{"stream", true}});
  harness.engine.text(0, "x");
  harness.engine.fail(0, "broken");
  EXPECT_THAT(writer->stream, HasSubstr("event: error\ndata: {\"type\":\"error\""));
  EXPECT_EQ(writer->events().back()["error"]["type"], "api_error");
  EXPECT_TRUE(writer->ended);
}

TEST(Messages, StartAndEndAgreeOnCachedTokens) {
  Harness harness;
  const auto writer = ask(harness, {{"stream", true}});
  EXPECT_TRUE(writer->streaming);
  engine::Event first = harness.engine.event(0);
  first.usage.cached_tokens = 3;
  first.token = 'x';
  harness.engine.send(0, first);
  engine::Event last = first;
  last.token.reset();
  last.finish = engine::FinishReason::kStop;
  harness.engine.send(0, last);
  const auto events = writer->events();
  const Json start = events.front()["message"]["usage"];
  const Json end = events[events.size() - 2]["usage"];
  EXPECT_EQ(start["cache_read_input_tokens"], 3);
  for (const char* name : {"input_tokens", "cache_read_input_tokens"}) {
    EXPECT_EQ(start[name], end[name]) << name;
  }
}

TEST(Messages, AFailureBeforeTheFirstTokenIsAnEventOfItsOwn) {
  Harness harness;
  const auto writer = ask(harness, {{"stream", true}});
  harness.engine.fail(0, "no luck");
  ASSERT_EQ(writer->events().size(), 1u);
  EXPECT_EQ(writer->events()[0]["type"], "error");
}

TEST(Messages, SayThatAPromptIsTooLong) {
  Harness harness;
  harness.engine.context = 5;
  const auto writer = ask(harness);
  EXPECT_EQ(writer->response.status, 400);
  EXPECT_EQ(writer->json()["error"]["type"], "invalid_request_error");
  EXPECT_THAT(writer->json()["error"]["message"], HasSubstr("prompt is too long: "));
}

TEST(Messages, AreServedWhereDeepSeekServesThem) {
  Harness harness;
  const Json body = {{"model", "tiny"},
                     {"max_tokens", 10},
                     {"messages", Json::array({{{"role", "user"}, {"content", "hi"}}})}};
  harness.post("/anthropic/v1/messages", body);
  EXPECT_EQ(harness.engine.requests.size(), 1u);
  const auto count = harness.post("/anthropic/v1/messages/count_tokens", body);
  EXPECT_EQ(count->response.status, 200);
  EXPECT_EQ(harness.post("/anthropic/v1/chat/completions", body)->response.status, 404);
  EXPECT_EQ(harness.post("/anthropicv1/messages", body)->response.status, 404);
}

TEST(Messages, ImagesInToolResultsBecomeANote) {
  Harness harness;
  ask(harness, {{"messages", Json::parse(R"([{"role": "user", "content": "look"},
          {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "shot", "input": {}}]},
          {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": [
            {"type": "text", "text": "seen"},
            {"type": "image", "source": {"type": "base64", "data": "AAAA"}}]}]}])")}});
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_THAT(prompt_text(harness, 0),
              HasSubstr("[tool:seen\n[image left out: this model reads text only]]"));
}

}  // namespace
}  // namespace fathom::api
