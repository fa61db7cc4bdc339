#include "api/model_alias.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace fathom::api
