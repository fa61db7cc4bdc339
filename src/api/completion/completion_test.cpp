// /v1/completions from the request's bytes to the answer's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;

std::shared_ptr<FakeWriter> complete(Harness& harness, const Json& body) {
  return harness.post("/v1/completions", body);
}

void send_prompt_logprobs(Harness& harness, size_t index) {
  engine::Event event = harness.engine.event(index);
  const auto& prompt = harness.engine.requests[index].request.prompt;
  for (size_t i = 1; i < prompt.size(); ++i) {
    event.prompt_logprobs.push_back(
        {prompt[i], -0.5f * static_cast<float>(i), {{prompt[i], -0.5f}}});
  }
  harness.engine.send(index, event);
}

TEST(Completion, TextGetsTheFirstTokenAndTokensDoNot) {
  Harness harness;
  const auto writer = complete(harness, {{"prompt", "ab"}});
  complete(harness, {{"prompt", "ab"}, {"add_special_tokens", false}});
  complete(harness, {{"prompt", {97, 98}}});
  const auto prompt = [&](size_t i) { return harness.engine.requests[i].request.prompt; };
  EXPECT_EQ(prompt(0), (std::vector<int32_t>{kBosId, 97, 98}));
  EXPECT_EQ(prompt(1), (std::vector<int32_t>{97, 98}));
  EXPECT_EQ(prompt(2), (std::vector<int32_t>{97, 98}));
  EXPECT_EQ(harness.engine.requests[0].request.sampling.max_tokens, 16);
  harness.engine.text(0, "cd");
  harness.engine.finish(0, engine::FinishReason::kLength);
  const Json answer = writer->json();
  EXPECT_EQ(answer["object"], "text_completion");
  EXPECT_EQ(answer["choices"][0]["text"], "cd");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["choices"][0]["logprobs"], nullptr);
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 3);
}

TEST(Completion, SeveralPromptsTimesN) {
  Harness harness;
  const auto writer =
      complete(harness, {{"prompt", Json::array({"a", "bc"})}, {"n", 2}, {"best_of", 2}});
  ASSERT_EQ(harness.engine.requests.size(), 4u);
  for (size_t i = 0; i < 4; ++i) {
    harness.engine.text(i, std::to_string(i));
    harness.engine.finish(i);
  }
  const Json answer = writer->json();
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(answer["choices"][i]["index"], i);
    EXPECT_EQ(answer["choices"][i]["text"], std::to_string(i));
  }
  EXPECT_EQ(answer["usage"]["prompt_tokens"], 5);
  complete(harness, {{"prompt", Json::array({Json::array({97}), Json::array({98, 99})})}});
  EXPECT_EQ(harness.engine.requests[5].request.prompt, (std::vector<int32_t>{98, 99}));
}

TEST(Completion, EchoWithLogprobsScoresThePrompt) {
  Harness harness;
  const auto writer = complete(
      harness, {{"prompt", {97, 98, 99}}, {"echo", true}, {"logprobs", 1}, {"max_tokens", 0}});
  const auto& sampling = harness.engine.requests[0].request.sampling;
  EXPECT_EQ(sampling.max_tokens, 0);
  EXPECT_EQ(sampling.prompt_logprobs, 1);
  send_prompt_logprobs(harness, 0);
  harness.engine.finish(0, engine::FinishReason::kLength);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["text"], "abc");
  EXPECT_EQ(choice["logprobs"]["tokens"], Json::array({"a", "b", "c"}));
  EXPECT_EQ(choice["logprobs"]["token_logprobs"], Json::array({nullptr, -0.5, -1.0}));
  EXPECT_EQ(choice["logprobs"]["text_offset"], Json::array({0, 1, 2}));
  EXPECT_EQ(choice["logprobs"]["top_logprobs"][0], nullptr);
  EXPECT_EQ(choice["logprobs"]["top_logprobs"][2], (Json{{"c", -0.5}}));
}

TEST(Completion, EchoGoesOnWithTheAnswer) {
  Harness harness;
  const auto writer =
      complete(harness, {{"prompt", {0xE4, 0xBD, 0xA0}}, {"echo", true}, {"logprobs", 2}});
  send_prompt_logprobs(harness, 0);
  harness.engine.text(0, "x");
  harness.engine.finish(0);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["text"], "\xE4\xBD\xA0x");
  EXPECT_EQ(choice["logprobs"]["tokens"],
            Json::array({"bytes:\\xe4", "bytes:\\xbd", "bytes:\\xa0", "x"}));
  EXPECT_EQ(choice["logprobs"]["text_offset"], Json::array({0, 0, 0, 1}));
  EXPECT_EQ(choice["logprobs"]["top_logprobs"][3].size(), 2u);
}

TEST(Completion, LogprobsWithoutEchoAreOfTheAnswerOnly) {
  Harness harness;
  const auto writer =
      complete(harness, {{"prompt", {97}}, {"logprobs", 0}, {"return_tokens_as_token_ids", true}});
  EXPECT_FALSE(harness.engine.requests[0].request.sampling.prompt_logprobs);
  harness.engine.text(0, "xy");
  harness.engine.finish(0);
  const Json logprobs = writer->json()["choices"][0]["logprobs"];
  EXPECT_EQ(logprobs["tokens"], Json::array({"token_id:120", "token_id:121"}));
  EXPECT_EQ(logprobs["text_offset"], Json::array({0, 1}));
  EXPECT_EQ(static_cast<float>(logprobs["token_logprobs"][0].get<double>()), -0.1f);
}

TEST(Completion, MinusInfinityIsANumber) {
  Harness harness;
  const auto writer = complete(harness, {{"prompt", {97, 98}}, {"logprobs", 0}, {"echo", true}});
  engine::Event event = harness.engine.event(0);
  event.prompt_logprobs.push_back({98, -std::numeric_limits<float>::infinity(), {}});
  harness.engine.send(0, event);
  harness.engine.finish(0);
  EXPECT_EQ(writer->json()["choices"][0]["logprobs"]["token_logprobs"][1], -9999.0);
}

TEST(Completion, Streams) {
  Harness harness;
  const auto writer = complete(harness, {{"prompt", {97, 98}},
                                         {"stream", true},
                                         {"echo", true},
                                         {"logprobs", 0},
                                         {"stop", "zz"},
                                         {"stream_options", {{"include_usage", true}}}});
  send_prompt_logprobs(harness, 0);
  harness.engine.text(0, "xzy");
  harness.engine.finish(0);
  std::string text;
  size_t tokens = 0;
  Json last;
  for (const Json& event : writer->events()) {
    if (event["choices"].empty()) continue;
    last = event["choices"][0];
    text += last["text"].get<std::string>();
    tokens += last["logprobs"]["tokens"].size();
  }
  EXPECT_EQ(text, "abxzy");
  EXPECT_EQ(tokens, 5u);
  EXPECT_EQ(last["finish_reason"], "stop");
  EXPECT_EQ(writer->events().back()["usage"]["completion_tokens"], 3);
  EXPECT_TRUE(writer->done());
}

TEST(Completion, RefusesWhatItCannotDo) {
  Harness harness;
  const auto refusal = [&](const Json& extra) {
    Json body = {{"prompt", "ab"}};
    body.update(extra);
    return expect_error(*complete(harness, body), 400);
  };
  EXPECT_EQ(refusal({{"best_of", 3}})["code"], "unsupported");
  EXPECT_EQ(refusal({{"prompt", ""}, {"add_special_tokens", false}})["param"], "prompt");
  EXPECT_EQ(refusal({{"prompt", {97, 400}}})["param"], "prompt[1]");
  EXPECT_EQ(refusal({{"prompt", Json::array({"a", Json::array({1, -1})})}})["param"],
            "prompt[1][1]");
  EXPECT_EQ(refusal({{"logit_bias", {{"400", 1}}}})["param"], "logit_bias");
  EXPECT_EQ(refusal({{"stop_token_ids", {400}}})["param"], "stop_token_ids[0]");
  const Json error = refusal({{"prompt", std::string(2000, 'x')}});
  EXPECT_EQ(error["code"], "context_length_exceeded");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("2001 tokens"));
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("1000 tokens"));
  EXPECT_TRUE(harness.engine.requests.empty());
}

TEST(Completion, APromptThatFillsTheContextCanStillBeScored) {
  Harness harness;
  const std::vector<int32_t> prompt(1000, 97);
  EXPECT_EQ(complete(harness, {{"prompt", prompt}})->response.status, 400);
  complete(harness, {{"prompt", prompt}, {"max_tokens", 0}, {"echo", true}, {"logprobs", 1}});
  EXPECT_EQ(harness.engine.requests.size(), 1u);
}

TEST(Completion, SpecialTokensOnlyWhereTheRequestSaysSo) {
  Harness harness;
  const auto prompt = [&harness](const Json& extra) {
    Json body = {{"prompt", "<｜bos｜>a</think>"}};
    body.update(extra);
    harness.post("/v1/completions", body);
    return harness.engine.requests.back().request.prompt;
  };
  const auto plain = prompt(Json::object());
  EXPECT_EQ(plain.front(), kBosId);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), kThinkEndId), 0);
  EXPECT_EQ(std::count(plain.begin(), plain.end(), kBosId), 1);
  // The prompt's own first token is not doubled.
  EXPECT_EQ(prompt({{"special_tokens", true}}), (std::vector<int32_t>{kBosId, 'a', kThinkEndId}));
  EXPECT_EQ(prompt({{"special_tokens", true}, {"prompt", "a</think>"}}),
            (std::vector<int32_t>{kBosId, 'a', kThinkEndId}));
  const auto counted =
      harness.post("/tokenize", {{"prompt", "<｜bos｜>a"}, {"special_tokens", true}});
  EXPECT_EQ(counted->json()["tokens"], Json::array({kBosId, 'a'}));
  const auto refused =
      harness.post("/v1/completions", {{"prompt", "a"}, {"suffix", "b"}, {"special_tokens", true}});
  EXPECT_EQ(expect_error(*refused, 400)["param"], "special_tokens");
}

}  // namespace
}  // namespace fathom::api
