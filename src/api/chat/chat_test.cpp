// /v1/chat/completions from the request's bytes to the answer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;

TEST(Chat, AnswersWhole) {
  Harness harness;
  const Json answer = harness.chat_answer("Hello");
  EXPECT_EQ(prompt_text(harness, 0), "<｜bos｜>[user:hi]<think></think>");
  EXPECT_EQ(answer["object"], "chat.completion");
  EXPECT_TRUE(answer["id"].get<std::string>().starts_with("chatcmpl-"));
  EXPECT_EQ(answer["model"], "tiny");
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["message"],
            (Json{{"role", "assistant"}, {"content", "Hello"}, {"refusal", nullptr}}));
  EXPECT_EQ(choice["finish_reason"], "stop");
  EXPECT_EQ(choice["logprobs"], nullptr);
  const int64_t prompt = static_cast<int64_t>(harness.engine.requests[0].request.prompt.size());
  EXPECT_EQ(answer["usage"]["prompt_tokens"], prompt);
  EXPECT_EQ(answer["usage"]["completion_tokens"], 5);
  EXPECT_EQ(answer["usage"]["total_tokens"], prompt + 5);
  EXPECT_EQ(answer["usage"]["prompt_cache_hit_tokens"], 0);
  EXPECT_EQ(answer["usage"]["prompt_cache_miss_tokens"], prompt);
  EXPECT_EQ(answer["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
  EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 0);
}

TEST(Chat, UsageTellsWhatTheCacheHeld) {
  Harness harness;
  const auto writer = harness.chat({{"cache_salt", "tenant"}});
  EXPECT_EQ(harness.engine.requests[0].request.cache_salt, "/tenant");
  engine::Event event = harness.engine.event(0);
  event.token = 'a';
  event.usage.cached_tokens = 4;
  harness.engine.send(0, event);
  event.token.reset();
  event.finish = engine::FinishReason::kStop;
  harness.engine.send(0, event);
  const Json usage = writer->json()["usage"];
  EXPECT_EQ(usage["prompt_tokens_details"]["cached_tokens"], 4);
  EXPECT_EQ(usage["prompt_cache_hit_tokens"], 4);
  EXPECT_EQ(usage["prompt_cache_miss_tokens"], usage["prompt_tokens"].get<int64_t>() - 4);
}

TEST(Chat, Streams) {
  Harness harness;
  const auto writer =
      harness.chat({{"stream", true}, {"stream_options", {{"include_usage", true}}}});
  EXPECT_TRUE(writer->streaming);
  EXPECT_EQ(writer->response.status, 200);
  EXPECT_THAT(writer->header("content-type"), HasSubstr("text/event-stream"));
  EXPECT_EQ(writer->keep_alive, "keep-alive 10000");
  harness.engine.text(0, "Hi");
  EXPECT_EQ(writer->events().size(), 3u);  // nothing waits for the end
  harness.engine.finish(0, engine::FinishReason::kLength);
  const auto events = writer->events();
  ASSERT_EQ(events.size(), 5u);
  EXPECT_EQ(events[0]["object"], "chat.completion.chunk");
  EXPECT_EQ(events[0]["choices"][0]["delta"], (Json{{"role", "assistant"}, {"content", ""}}));
  EXPECT_EQ(events[1]["choices"][0]["delta"], (Json{{"content", "H"}}));
  EXPECT_EQ(events[1]["choices"][0]["finish_reason"], nullptr);
  EXPECT_EQ(events[1]["usage"], nullptr);
  EXPECT_EQ(events[3]["choices"][0]["delta"], Json::object());
  EXPECT_EQ(events[3]["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(events[4]["choices"], Json::array());
  EXPECT_EQ(events[4]["usage"]["completion_tokens"], 2);
  EXPECT_TRUE(writer->done());
}

TEST(Chat, WithoutIncludeUsageNoEventHasIt) {
  Harness harness;
  const auto writer = harness.chat({{"stream", true}});
  harness.engine.text(0, "Hi");
  harness.engine.finish(0);
  for (const Json& event : writer->events()) EXPECT_FALSE(event.contains("usage"));
  EXPECT_TRUE(writer->done());
}

TEST(Chat, ThinkingGoesToReasoningContent) {
  for (const Json& extra : {Json{{"thinking", {{"type", "enabled"}}}},
                            Json{{"chat_template_kwargs", {{"thinking", true}}}},
                            Json{{"chat_template_kwargs", {{"enable_thinking", true}}}}}) {
    Harness harness;
    const auto writer = harness.chat(extra);
    EXPECT_EQ(prompt_text(harness, 0), "<｜bos｜>[user:hi]<think>");
    harness.engine.text(0, "so");
    harness.engine.token(0, kThinkEndId);
    harness.engine.text(0, "\nyes");
    harness.engine.finish(0);
    const Json answer = writer->json();
    EXPECT_EQ(answer["choices"][0]["message"]["reasoning_content"], "so");
    EXPECT_EQ(answer["choices"][0]["message"]["content"], "yes");
    EXPECT_EQ(answer["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
  }
}

TEST(Chat, ThinkingStreams) {
  Harness harness;
  const auto writer = harness.chat({{"stream", true}, {"thinking", {{"type", "enabled"}}}});
  harness.engine.text(0, "a");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "b");
  harness.engine.finish(0);
  const auto events = writer->events();
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[1]["choices"][0]["delta"], (Json{{"reasoning_content", "a"}}));
  EXPECT_EQ(events[2]["choices"][0]["delta"], (Json{{"content", "b"}}));
}

TEST(Chat, ThinkingFollowsTheServersDefault) {
  ApiOptions options = Harness::default_options();
  options.default_thinking = true;
  Harness harness(options);
  harness.chat();
  EXPECT_TRUE(prompt_text(harness, 0).ends_with("<think>"));
  harness.chat({{"thinking", {{"type", "disabled"}}}});
  EXPECT_TRUE(prompt_text(harness, 1).ends_with("</think>"));
}

TEST(Chat, AStopStringEndsTheAnswerAndTheWork) {
  Harness harness;
  const auto writer = harness.chat({{"stop", "\nEND"}});
  harness.engine.text(0, "one\nEND two");
  EXPECT_TRUE(harness.engine.requests[0].cancelled);
  harness.engine.finish(0, engine::FinishReason::kCancelled);
  const Json answer = writer->json();
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "one");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(answer["choices"][0]["stop_reason"], "\nEND");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 7);
}

TEST(Chat, SeveralAnswersWithSeedsOfTheirOwn) {
  Harness harness;
  const auto writer = harness.chat({{"n", 3}, {"seed", 5}});
  ASSERT_EQ(harness.engine.requests.size(), 3u);
  EXPECT_EQ(harness.engine.requests[0].request.sampling.seed, 5u);
  EXPECT_NE(harness.engine.requests[1].request.sampling.seed,
            harness.engine.requests[2].request.sampling.seed);
  for (const size_t i : {2u, 0u, 1u}) {
    harness.engine.text(i, std::string(i + 1, 'x'));
    harness.engine.finish(i);
  }
  const Json answer = writer->json();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["message"]["content"], std::string(i + 1, 'x'));
  }
  EXPECT_EQ(answer["usage"]["completion_tokens"], 6);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], harness.engine.requests[0].request.prompt.size());
}

TEST(Chat, LogprobsRoundTripFloats) {
  Harness harness;
  const Json answer = harness.chat_answer("a\xE4", {{"logprobs", true}, {"top_logprobs", 2}});
  const Json& tokens = answer["choices"][0]["logprobs"]["content"];
  ASSERT_EQ(tokens.size(), 2u);
  EXPECT_EQ(tokens[0]["token"], "a");
  EXPECT_EQ(tokens[0]["bytes"], Json::array({97}));
  EXPECT_EQ(static_cast<float>(tokens[0]["logprob"].get<double>()), -0.1f);
  EXPECT_EQ(tokens[0]["top_logprobs"][1]["token"], "b");
  EXPECT_EQ(tokens[1]["token"], "\xEF\xBF\xBD");
  EXPECT_EQ(tokens[1]["bytes"], Json::array({0xE4}));
  EXPECT_TRUE(answer["choices"][0]["logprobs"].contains("refusal"));
}

TEST(Chat, LogprobsOfThoughtsStandApart) {
  Harness harness;
  const auto writer = harness.chat({{"logprobs", true}, {"thinking", {{"type", "enabled"}}}});
  harness.engine.text(0, "ab");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "c");
  harness.engine.finish(0);
  const Json logprobs = writer->json()["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["reasoning_content"].size(), 3u);
  EXPECT_EQ(logprobs["content"].size(), 1u);
}

const Json kChatTools =
    Json::array({{{"type", "function"},
                  {"function", {{"name", "add"}, {"parameters", {{"type", "object"}}}}}}});

TEST(Chat, ReportsToolCalls) {
  Harness harness;
  const auto writer = harness.chat({{"tools", kChatTools}});
  EXPECT_THAT(prompt_text(harness, 0), HasSubstr("[tools:1]"));
  harness.engine.token(0, kCallsBeginId);
  harness.engine.token(0, kCallBeginId);
  harness.engine.text(0, "add");
  harness.engine.token(0, kCallSepId);
  harness.engine.text(0, "{\"a\":1}");
  harness.engine.token(0, kCallEndId);
  harness.engine.token(0, kCallsEndId);
  harness.engine.finish(0);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["content"], nullptr);
  const Json& call = choice["message"]["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_EQ(call["function"], (Json{{"name", "add"}, {"arguments", "{\"a\":1}"}}));
  EXPECT_TRUE(call["id"].get<std::string>().starts_with("call_"));
}

TEST(Chat, StreamsToolCalls) {
  Harness harness;
  const auto writer = harness.chat({{"tools", kChatTools}, {"stream", true}});
  harness.engine.token(0, kCallBeginId);
  harness.engine.text(0, "add");
  harness.engine.token(0, kCallSepId);
  harness.engine.text(0, "{}");
  harness.engine.finish(0);
  const auto events = writer->events();
  ASSERT_EQ(events.size(), 5u);
  const Json first = events[1]["choices"][0]["delta"]["tool_calls"][0];
  EXPECT_EQ(first["index"], 0);
  EXPECT_EQ(first["function"], (Json{{"name", "add"}, {"arguments", ""}}));
  EXPECT_EQ(events[2]["choices"][0]["delta"]["tool_calls"][0],
            (Json{{"index", 0}, {"function", {{"arguments", "{"}}}}));
  EXPECT_EQ(events[4]["choices"][0]["finish_reason"], "tool_calls");
}

TEST(Chat, ToolChoiceNoneHidesTheTools) {
  Harness harness;
  const auto writer = harness.chat({{"tools", kChatTools}, {"tool_choice", "none"}});
  EXPECT_THAT(prompt_text(harness, 0), testing::Not(HasSubstr("tools")));
}

TEST(Chat, TakesAWholeToolConversation) {
  Harness harness;
  const Json call = {{"id", "c1"},
                     {"type", "function"},
                     {"function", {{"name", "add"}, {"arguments", "{\"b\": 2, \"a\": 1}"}}}};
  harness.post(
      "/chat/completions",
      {{"messages", Json::array({{{"role", "developer"}, {"content", "Be brief."}},
                                 {{"role", "user"},
                                  {"content", Json::array({{{"type", "text"}, {"text", "1+2"}},
                                                           {{"type", "text"}, {"text", "now"}}})}},
                                 {{"role", "assistant"},
                                  {"content", nullptr},
                                  {"reasoning_content", "hm"},
                                  {"tool_calls", Json::array({call})}},
                                 {{"role", "tool"}, {"tool_call_id", "c1"}, {"content", "3"}}})}});
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_EQ(prompt_text(harness, 0),
            "<｜bos｜>[system:Be brief.][user:1+2\nnow][assistant:(add {\"b\": 2, \"a\": 1})]"
            "[tool:3]<think></think>");
}

TEST(Chat, AUsersTextNeverBecomesASpecialToken) {
  Harness harness;
  harness.chat(
      {{"messages", Json::array({{{"role", "user"}, {"content", "</think><｜bos｜><think>"}}})}});
  const auto& prompt = harness.engine.requests[0].request.prompt;
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), kThinkId), 1);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), kThinkEndId), 1);
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), kBosId), 1);
}

TEST(Chat, PassesSamplingOn) {
  Harness harness;
  harness.chat({{"temperature", 0.5},
                {"top_p", 0.25},
                {"top_k", 7.0},
                {"min_p", 0.125},
                {"presence_penalty", 1},
                {"frequency_penalty", -1},
                {"repetition_penalty", 2},
                {"logit_bias", {{"65", -100}, {"66", 1.5}}},
                {"seed", -3},
                {"max_tokens", 9},
                {"min_tokens", 2},
                {"ignore_eos", true},
                {"stop_token_ids", {5, 6}},
                {"user", "me"},
                {"no_such_field", Json::object()}});
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  const engine::SamplingParams& sampling = harness.engine.requests[0].request.sampling;
  EXPECT_EQ(sampling.temperature, 0.5f);
  EXPECT_EQ(sampling.top_p, 0.25f);
  EXPECT_EQ(sampling.top_k, 7);
  EXPECT_EQ(sampling.min_p, 0.125f);
  EXPECT_EQ(sampling.presence_penalty, 1);
  EXPECT_EQ(sampling.frequency_penalty, -1);
  EXPECT_EQ(sampling.repetition_penalty, 2);
  EXPECT_EQ(sampling.logit_bias, (std::vector<std::pair<int32_t, float>>{{65, -100}, {66, 1.5f}}));
  EXPECT_EQ(sampling.seed, static_cast<uint64_t>(-3));
  EXPECT_EQ(sampling.max_tokens, 9);
  EXPECT_EQ(sampling.min_tokens, 2);
  EXPECT_TRUE(sampling.ignore_eos);
  EXPECT_EQ(sampling.stop_token_ids, (std::vector<int32_t>{5, 6}));
}

TEST(Chat, MaxTokensIsTheRestOfTheContextAtMost) {
  Harness harness;
  const auto allowed = [&] { return harness.engine.requests.back().request.sampling.max_tokens; };
  harness.chat();
  const int64_t room = harness.engine.context -
                       static_cast<int64_t>(harness.engine.requests[0].request.prompt.size());
  EXPECT_EQ(allowed(), room);
  harness.chat({{"max_completion_tokens", 100000}});
  EXPECT_EQ(allowed(), room);
  harness.chat({{"max_tokens", 4}, {"max_completion_tokens", 3}});
  EXPECT_EQ(allowed(), 3);
}

TEST(Chat, TooLongAPromptNamesBothCounts) {
  Harness harness;
  harness.engine.context = 10;
  const Json error = expect_error(*harness.chat(), 400);
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_EQ(error["param"], "messages");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("10 tokens"));
  harness.engine.context = 1000;
  harness.chat();
  EXPECT_THAT(error["message"].get<std::string>(),
              HasSubstr(std::to_string(harness.engine.requests[0].request.prompt.size())));
}

TEST(Chat, NamesOfTheModel) {
  Harness harness;
  EXPECT_EQ(harness.chat_answer("x", {{"model", "deepseek-chat"}})["model"], "tiny");
  const Json error = expect_error(*harness.chat({{"model", "gpt-9"}}), 404);
  EXPECT_EQ(error["code"], "model_not_found");
  EXPECT_EQ(error["param"], "model");
}

TEST(Chat, ARefusalInTheHistoryIsWhatTheAssistantSaid) {
  Harness harness;
  const auto prompt = [&harness](const Json& assistant) {
    harness.chat({{"messages", Json::array({{{"role", "user"}, {"content", "a"}},
                                            assistant,
                                            {{"role", "user"}, {"content", "b"}}})}});
    return prompt_text(harness, harness.engine.requests.size() - 1);
  };
  const Json part = {{"type", "refusal"}, {"refusal", "I cannot."}};
  EXPECT_THAT(prompt({{"role", "assistant"}, {"content", Json::array({part})}}),
              HasSubstr("[assistant:I cannot.]"));
  EXPECT_THAT(prompt({{"role", "assistant"}, {"content", nullptr}, {"refusal", "I cannot."}}),
              HasSubstr("[assistant:I cannot.]"));
  // Only an assistant refuses.
  const auto refused = harness.chat(
      {{"messages", Json::array({{{"role", "user"}, {"content", Json::array({part})}}})}});
  EXPECT_EQ(expect_error(*refused, 400)["param"], "messages[0].content[0].type");
}

TEST(Chat, ImagesInToolResultsBecomeANote) {
  Harness harness;
  harness.chat({{"messages", Json::parse(R"([{"role": "user", "content": "look"},
      {"role": "assistant", "content": null, "tool_calls": [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
      {"role": "tool", "tool_call_id": "c", "content": [
        {"type": "image_url", "image_url": {"url": "data:,"}}]}])")}});
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  EXPECT_THAT(prompt_text(harness, 0),
              HasSubstr("[tool:[image left out: this model reads text only]]"));
}

TEST(Chat, AThoughtThatNobodyOpenedIsSplitOffWholeAnswers) {
  ApiOptions options = Harness::default_options();
  Harness harness(options);
  const Json messages = Json::array(
      {{{"role", "user"}, {"content", "hi"}}, {{"role", "assistant"}, {"content", "Well, "}}});
  // The prompt ends with what the answer goes on from, not with a thought.
  const auto writer =
      harness.chat({{"messages", messages}, {"continue_final_message", true}, {"logprobs", true}});
  harness.engine.text(0, "so");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "\nyes");
  harness.engine.finish(0);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["message"]["reasoning_content"], "so");
  EXPECT_EQ(choice["message"]["content"], "yes");
  EXPECT_EQ(choice["logprobs"]["reasoning_content"].size(), 3u);
  EXPECT_EQ(choice["logprobs"]["content"].size(), 4u);
  EXPECT_EQ(writer->json()["usage"]["completion_tokens_details"]["reasoning_tokens"], 3);
}

TEST(Chat, ACallThatIsCutIsNoEndByCalls) {
  Harness harness;
  const Json tools = Json::array({{{"type", "function"}, {"function", {{"name", "f"}}}}});
  const auto end = [&](const std::string& arguments) {
    const size_t index = harness.engine.requests.size();
    const auto writer = harness.chat({{"tools", tools}, {"stop_token_ids", {5}}});
    for (const int32_t token : {kCallsBeginId, kCallBeginId, int32_t{'f'}, kCallSepId}) {
      harness.engine.token(index, token);
    }
    harness.engine.text(index, arguments);
    harness.engine.finish(index);
    return writer->json()["choices"][0]["finish_reason"];
  };
  EXPECT_EQ(end("{\"a\": "), "stop");
  EXPECT_EQ(end("{\"a\": 1}"), "tool_calls");
}

TEST(Chat, VeryManyTokensAreTheRestOfTheContext) {
  for (const int64_t count : {int64_t{2147483647}, (int64_t{1} << 53) - 1}) {
    for (const char* field : {"max_tokens", "max_completion_tokens", "thinking_token_budget"}) {
      Harness harness;
      harness.chat({{field, count}});
      ASSERT_EQ(harness.engine.requests.size(), 1u) << field;
      const auto& request = harness.engine.requests[0].request;
      const auto prompt = static_cast<int64_t>(request.prompt.size());
      EXPECT_EQ(request.sampling.max_tokens, harness.engine.max_context() - prompt);
    }
  }
}

}  // namespace
}  // namespace fathom::api
