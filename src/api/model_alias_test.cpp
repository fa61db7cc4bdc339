#include "api/model_alias.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "api/harness_for_tests.h"

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
  EXPECT_EQ(parse_model_alias("deepseek-reasoner,thinking=on", "v3")->thinking, true);
}

TEST(ModelAlias, RefusesWhatItDoesNotSay) {
  for (const char* wrong : {"", "=v3", ",thinking=on", "a=r1", "a=", "a,thinking", "a,thinking=1",
                            "a=v3,thinking=on,thinking=off", "a,"}) {
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

}  // namespace
}  // namespace fathom::api
