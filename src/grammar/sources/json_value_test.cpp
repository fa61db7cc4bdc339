#include "grammar/sources/json_value.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

std::shared_ptr<const CompiledGrammar> value_grammar() {
  Grammar grammar;
  set_root(grammar, JsonPieces(grammar).value());
  return compiled(grammar);
}

TEST(JsonValue, TakesJson) {
  const auto value = value_grammar();
  for (const char* text :
       {"{}", "[]", "0", "-0.5e-12", "true", "null", R"("")",
        R"({"a":1,"b":[1, 2,3],"c":{"d":null}})",
        R"("é 😀 \" \\ \/ \b \f \n \r \t \u00e9 \ud83d\ude00")",
        "{\n  \"a\": [\n    1,\n    2\n  ],\n  \"b\": \"x\"\n}", R"({ "a": "b" })"}) {
    EXPECT_TRUE(nlohmann::json::accept(text)) << text;
    EXPECT_TRUE(matches(value, text)) << text;
  }
}

TEST(JsonValue, RefusesWhatIsNotJson) {
  const auto value = value_grammar();
  for (const char* text :
       {"",        "{",           "[1,]",         "{\"a\"}",     "{\"a\":}", "{a:1}",
        "01",      "1.",          ".5",           "+1",          "-",        "\"\n\"",
        "\"\\x\"", R"("\ud83d")", R"("\ud83dx")", R"("\ude00")", "\"\xFF\"", "\"\xED\xA0\x80\"",
        "tru",     "nul",         "NaN",          "1e",          "[1 2]",    "'a'",
        "1e400"}) {
    EXPECT_FALSE(matches(value, text)) << text;
  }
}

TEST(JsonValue, WhiteSpaceIsBounded) {
  const auto value = value_grammar();
  EXPECT_TRUE(matches(value, "[\n" + std::string(32, ' ') + "1]"));
  EXPECT_FALSE(matches(value, "[\n" + std::string(33, ' ') + "1]"));
  EXPECT_FALSE(matches(value, "[  1]"));
  EXPECT_FALSE(matches(value, "[\n\n1]"));
  EXPECT_FALSE(matches(value, " 1"));
  EXPECT_FALSE(matches(value, "[1 ,2]"));
  EXPECT_FALSE(matches(value, "{\"a\" :2}"));
}

TEST(JsonValue, WhatIsWalkedAtRandomParses) {
  const auto value = value_grammar();
  std::mt19937 random(3);
  std::vector<uint32_t> mask(value->vocabulary().mask_words());
  int whole = 0;
  for (int round = 0; round < 400; ++round) {
    Matcher matcher(value);
    std::string text;
    while (text.size() < 200 && !matcher.finished()) {
      matcher.fill_mask(mask);
      std::vector<TokenId> allowed;
      for (TokenId id = 0; id <= 256; ++id) {
        if (mask[id / 32] >> id % 32 & 1) allowed.push_back(id);
      }
      ASSERT_FALSE(allowed.empty()) << text;
      const TokenId token = allowed[random() % allowed.size()];
      ASSERT_TRUE(matcher.accept(token));
      if (token < 256) text += static_cast<char>(token);
      ASSERT_EQ(matcher.can_end(), nlohmann::json::accept(text)) << text;
    }
    whole += matcher.can_end() ? 1 : 0;
  }
  EXPECT_GT(whole, 20);
}

}  // namespace
}  // namespace fathom::grammar
