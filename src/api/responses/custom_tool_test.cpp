#include "api/responses/custom_tool.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

namespace fathom::api::responses {
namespace {

std::string input_of(const std::vector<std::string>& parts) {
  CustomInput input;
  std::string text;
  for (const std::string& part : parts) text += input.take(part);
  return text + input.finish();
}

TEST(CustomInput, IsGivenAsItComes) {
  CustomInput input;
  EXPECT_EQ(input.take("{\"in"), "");
  EXPECT_EQ(input.take("put\": \""), "");
  EXPECT_EQ(input.take("ab\\"), "ab");
  EXPECT_EQ(input.take("nc"), "\nc");
  EXPECT_EQ(input.take("\"}"), "");
  EXPECT_EQ(input.finish(), "");
}

TEST(CustomInput, IsWhatTheArgumentsSayHoweverTheyAreCut) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"input": "*** Begin\n+a \"b\" \\ \/ \u00e9 \ud83d\ude00 é\t"})",
       "*** Begin\n+a \"b\" \\ / é 😀 é\t"},
      {R"( {
 "input" : "x" } )",
       "x"},
      {R"({"input": ""})", ""},
      {R"({"input": "x", "more": 1})", "x"},
      {R"({"more": 1, "input": "x"})", "x"},
      {R"({"inputs": "x"})", R"({"inputs": "x"})"},
      {"{}", ""},
      {"milk, bread", "milk, bread"},
      {R"("milk")", R"("milk")"},
      {R"({"input": "cut)", "cut"},
      {R"({"input": "\ud83dx"})", "\\ud83dx"},
      {R"({"input": 3})", R"({"input": 3})"},
      {"", ""},
  };
  std::mt19937 random(3);
  for (const auto& [arguments, expected] : cases) {
    const std::string text = arguments;
    EXPECT_EQ(input_of({text}), expected) << text;
    for (int round = 0; round < 50; ++round) {
      std::vector<std::string> parts;
      for (size_t at = 0; at < text.size();) {
        parts.push_back(text.substr(at, 1 + random() % 3));
        at += parts.back().size();
      }
      EXPECT_EQ(input_of(parts), expected) << text;
    }
  }
}

TEST(CustomInput, ComesBackFromItsArguments) {
  const std::string text = "a \"b\"\n\t\\ \xF0\x9F\x98\x80 {}";
  EXPECT_EQ(input_of({custom_arguments(text)}), text);
}

TEST(CustomTool, IsAFunctionOfOneText) {
  const auto plain = custom_function({{"type", "custom"}, {"name", "note"}}, "tools[0]");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ((*plain)["parameters"]["required"], Json::array({"input"}));
  const auto function = [](const Json& format) {
    return custom_function({{"type", "custom"}, {"name", "note"}, {"format", format}}, "tools[0]");
  };
  EXPECT_TRUE(function({{"type", "text"}}).ok());
  const auto lark = function({{"type", "grammar"}, {"syntax", "lark"}, {"definition", "start: A"}});
  ASSERT_TRUE(lark.ok());
  const Json input = (*lark)["parameters"]["properties"]["input"];
  EXPECT_NE(input["description"].get<std::string>().find("start: A"), std::string::npos);
  const auto regex = function({{"type", "grammar"}, {"syntax", "regex"}, {"definition", "a|b"}});
  ASSERT_TRUE(regex.ok());
  EXPECT_EQ((*regex)["parameters"]["properties"]["input"]["pattern"], "^(?:a|b)$");
  EXPECT_EQ(function({{"type", "xml"}}).error().where, "tools[0].format.type");
  EXPECT_EQ(function({{"type", "grammar"}, {"syntax", "peg"}, {"definition", ""}}).error().where,
            "tools[0].format.syntax");
  EXPECT_EQ(function({{"type", "grammar"}, {"syntax", "lark"}}).error().where,
            "tools[0].format.definition");
}

}  // namespace
}  // namespace fathom::api::responses
