#include "api/context/model_alias.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/testing/harness.h"

namespace fathom::api {
namespace {

TEST(ModelAlias, NamesTheModelAndWhetherItThinks) {
  const auto plain = parse_model_alias("other", "v3");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->name, "other");
  EXPECT_EQ(plain->thinking, std::nullopt);
  const auto chat = parse_model_alias("deepseek-chat=v3,thinking=off", "v3");
  ASSERT_TRUE(chat.ok());
  EXPECT_EQ(chat->name, "deepseek-chat");
  EXPECT_EQ(chat->thinking, false);
  EXPECT_FALSE(chat->thinks_at_default);
  const auto reasoner = parse_model_alias("deepseek-reasoner,thinking=on,sampling=default", "v3");
  ASSERT_TRUE(reasoner.ok());
  EXPECT_EQ(reasoner->thinking, true);
  EXPECT_TRUE(reasoner->thinks_at_default);
  EXPECT_FALSE(parse_model_alias("r,sampling=request", "v3")->thinks_at_default);
}

TEST(ModelAlias, RefusesWhatItDoesNotSay) {
  for (const char* wrong : {"", "=v3", ",thinking=on", "a=r1", "a=", "a,thinking", "a,thinking=1",
                            "a=v3,thinking=on,thinking=off", "a,", "a,sampling=off",
                            "a,sampling=default,sampling=default"}) {
    const auto alias = parse_model_alias(wrong, "v3");
    ASSERT_FALSE(alias.ok()) << wrong;
    EXPECT_NE(alias.error().message.find("expected"), std::string::npos);
  }
}

TEST(ModelAlias, ThinksAsItsNameSays) {
  ApiOptions options = Harness::default_options();
  options.model.aliases = {{"deepseek-chat", false}, {"deepseek-reasoner", true}, {"other"}};
  options.default_thinking = true;
  Harness harness(options);
  const auto ends_in = [&](const Json& extra) {
    harness.chat(extra);
    const std::string prompt = prompt_text(harness, harness.engine.requests.size() - 1);
    return prompt.substr(prompt.find(']') + 1);
  };
  EXPECT_EQ(ends_in({{"model", "deepseek-chat"}}), "<think></think>");
  EXPECT_EQ(ends_in({{"model", "deepseek-reasoner"}}), "<think>");
  EXPECT_EQ(ends_in({{"model", "other"}}), "<think>");
  EXPECT_EQ(ends_in({{"model", "deepseek-reasoner"}, {"thinking", {{"type", "disabled"}}}}),
            "<think></think>");
}

TEST(ModelAlias, MayThinkWithDefaultSampling) {
  ApiOptions options = Harness::default_options();
  options.model.aliases = {{"deepseek-reasoner", true, true}};
  Harness harness(options);
  const auto sampling = [&](const Json& extra) {
    Json body = {{"temperature", 0.1},
                 {"top_p", 0.2},
                 {"presence_penalty", 1.5},
                 {"frequency_penalty", 1.5},
                 {"top_k", 7}};
    body.update(extra);
    harness.chat(body);
    return harness.engine.requests.back().request.sampling;
  };
  const auto thinking = sampling({{"model", "deepseek-reasoner"}});
  EXPECT_EQ(thinking.temperature, 1.0f);
  EXPECT_EQ(thinking.top_p, 1.0f);
  EXPECT_EQ(thinking.presence_penalty, 0.0f);
  EXPECT_EQ(thinking.frequency_penalty, 0.0f);
  EXPECT_EQ(thinking.top_k, 7);  // not one of DeepSeek's fields
  const Json not_thinking = {{"model", "deepseek-reasoner"}, {"thinking", {{"type", "disabled"}}}};
  EXPECT_EQ(sampling(not_thinking).temperature, 0.1f);
  EXPECT_EQ(sampling({{"thinking", {{"type", "enabled"}}}}).temperature, 0.1f);
}

}  // namespace
}  // namespace fathom::api
