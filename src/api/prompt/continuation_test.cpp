// Answers that are begun by the request: DeepSeek's prefix and filling in the middle, under /beta.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

// The prompt after "<｜bos｜>[user:q]" where the assistant's last message is `last`.
std::string prompt_for(const Json& last, const Json& extra = Json::object()) {
  Harness harness;
  Json body = {{"messages", Json::array({{{"role", "user"}, {"content", "q"}}, last})}};
  body.update(extra);
  const auto writer = harness.post("/beta/chat/completions", body);
  if (harness.engine.requests.empty()) return writer->response.body;
  const std::string prompt = prompt_text(harness, 0);
  return prompt.substr(prompt.find(']') + 1);
}

const Json kThinking = {{"thinking", {{"type", "enabled"}}}};

TEST(Continuation, GoesOnAfterThePrefix) {
  const Json last = {{"role", "assistant"}, {"content", "It is"}, {"prefix", true}};
  EXPECT_EQ(prompt_for(last), "<think></think>It is");
  EXPECT_EQ(prompt_for(last, kThinking), "<think></think>It is");
}

TEST(Continuation, GoesOnWithoutPrefixIfTheRequestSaysSo) {
  const Json last = {{"role", "assistant"}, {"content", "It is"}};
  EXPECT_EQ(prompt_for(last, {{"continue_final_message", true}}), "<think></think>It is");
  EXPECT_EQ(prompt_for(last), "[assistant:It is]<think></think>");
}

TEST(Continuation, GoesOnWithinAThought) {
  const Json thought = {{"role", "assistant"}, {"reasoning_content", "hm"}, {"prefix", true}};
  EXPECT_EQ(prompt_for(thought), "<think>hm");
  Json both = thought;
  both["content"] = "It is";
  EXPECT_EQ(prompt_for(both, kThinking), "<think>hm</think>It is");
}

TEST(Continuation, TheAnswerIsWhatFollows) {
  Harness harness;
  const auto writer = harness.post(
      "/beta/chat/completions",
      {{"messages", Json::array({{{"role", "user"}, {"content", "q"}},
                                 {{"role", "assistant"}, {"content", "It"}, {"prefix", true}}})}});
  harness.engine.text(0, " is");
  harness.engine.finish(0);
  EXPECT_EQ(writer->json()["choices"][0]["message"]["content"], " is");
}

TEST(Continuation, APrefixIsTextNotMarkers) {
  Harness harness;
  harness.post(
      "/beta/chat/completions",
      {{"messages",
        Json::array({{{"role", "user"}, {"content", "q"}},
                     {{"role", "assistant"}, {"content", "</think>"}, {"prefix", true}}})}});
  const auto& prompt = harness.engine.requests[0].request.prompt;
  EXPECT_EQ(std::count(prompt.begin(), prompt.end(), kThinkEndId), 1);
}

TEST(Continuation, OnlyTheAssistantsLastMessageCanGoOn) {
  Harness harness;
  const auto param = [&](const Json& messages, bool flag) {
    const auto writer = harness.post("/v1/chat/completions",
                                     {{"messages", messages}, {"continue_final_message", flag}});
    return expect_error(*writer, 400)["param"];
  };
  const Json user = {{"role", "user"}, {"content", "q"}};
  const Json prefix = {{"role", "assistant"}, {"content", "a"}, {"prefix", true}};
  EXPECT_EQ(param(Json::array({prefix, user}), false), "messages[0].prefix");
  EXPECT_EQ(param(Json::array({user}), true), "continue_final_message");
}

TEST(Middle, LiesBetweenPromptAndSuffix) {
  Harness harness;
  const auto writer =
      harness.post("/beta/completions", {{"prompt", "def f():"}, {"suffix", "return x"}});
  ASSERT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  EXPECT_EQ(prompt_text(harness, 0),
            "<｜bos｜><｜fim▁begin｜>def f():<｜fim▁hole｜>return x<｜fim▁end｜>");
  harness.engine.text(0, "x=1");
  harness.engine.finish(0);
  EXPECT_EQ(writer->json()["choices"][0]["text"], "x=1");
}

TEST(Middle, IsRefusedWhereTheModelCannot) {
  Harness plain(Harness::default_options(), false);
  const Json body = {{"prompt", "a"}, {"suffix", "b"}};
  const Json error = expect_error(*plain.post("/beta/completions", body), 400);
  EXPECT_EQ(error["param"], "suffix");
  EXPECT_EQ(error["code"], "unsupported");

  Harness harness;
  const auto param = [&](const Json& extra) {
    Json changed = body;
    changed.update(extra);
    return expect_error(*harness.post("/beta/completions", changed), 400)["param"];
  };
  EXPECT_EQ(param({{"prompt", {1, 2}}}), "prompt");
  EXPECT_EQ(param({{"echo", true}}), "echo");
}

}  // namespace
}  // namespace fathom::api
