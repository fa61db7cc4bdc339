#include "serving/model_texts.h"

#include <gtest/gtest.h>

#include "serving/synthetic_tokenizer.h"

namespace fathom::serving {
namespace {

using models::deepseek_v3::Config;
using Texts = std::map<std::string, std::string>;

Config config_with(std::vector<int32_t> end_tokens) {
  Config config;
  config.vocab_size = 400;
  config.eos_token_ids = std::move(end_tokens);
  return config;
}

tokenizer::Tokenizer tokenizer_with(const std::string& tokenizer_config) {
  const auto texts = synthetic_tokenizer(400);
  return tokenizer::Tokenizer::parse(texts.at("tokenizer.json"), tokenizer_config).value();
}

TEST(ModelTexts, EndTokensOfAllFilesCount) {
  const std::string named = std::string(R"({"eos_token":")") + kSyntheticEos + "\"}";
  const auto silent = tokenizer_with("{}");
  const auto tokenizer = tokenizer_with(named);
  const int32_t own = *tokenizer.eos();
  struct Case {
    Texts texts;
    std::vector<int32_t> before;
    std::vector<int32_t> after;
  };
  const Case cases[] = {
      {{}, {7}, {7}},
      {{{"generation_config.json", R"({"eos_token_id":null})"}}, {7}, {7}},
      {{{"generation_config.json", R"({"eos_token_id":7})"}}, {7}, {7}},
      {{{"generation_config.json", R"({"eos_token_id":[7,9]})"}}, {7}, {7, 9}},
      {{{"generation_config.json", R"({"eos_token_id":[7,9]})"}}, {}, {7, 9}},
  };
  for (const auto& [texts, before, after] : cases) {
    Config config = config_with(before);
    ASSERT_TRUE(add_end_tokens(texts, silent, config));
    EXPECT_EQ(config.eos_token_ids, after);
  }
  Config config = config_with({});
  ASSERT_TRUE(add_end_tokens({}, tokenizer, config));
  EXPECT_EQ(config.eos_token_ids, std::vector<int32_t>{own});
  ASSERT_TRUE(add_end_tokens({}, tokenizer, config));
  EXPECT_EQ(config.eos_token_ids, std::vector<int32_t>{own});
}

TEST(ModelTexts, WrongEndTokensAreNamed) {
  const auto tokenizer = tokenizer_with("{}");
  for (const char* wrong : {R"({"eos_token_id":400})", R"({"eos_token_id":[1,null]})",
                            R"({"eos_token_id":-1})", R"({"eos_token_id":"x"})", "[]"}) {
    Config config = config_with({});
    const auto status = add_end_tokens({{"generation_config.json", wrong}}, tokenizer, config);
    ASSERT_FALSE(status) << wrong;
    EXPECT_NE(status.error().message.find("generation_config.json: "), std::string::npos);
  }
}

TEST(ModelTexts, BosTokenOfPrompts) {
  const auto adds = [](const char* text) {
    return adds_bos_token({{"tokenizer_config.json", text}});
  };
  EXPECT_TRUE(*adds(R"({"add_bos_token":true})"));
  EXPECT_FALSE(*adds(R"({"add_bos_token":null})"));
  EXPECT_FALSE(*adds("{}"));
  EXPECT_FALSE(*adds_bos_token({}));
  EXPECT_NE(adds(R"({"add_bos_token":1})").error().message.find("add_bos_token: expected"),
            std::string::npos);
}

}  // namespace
}  // namespace fathom::serving
