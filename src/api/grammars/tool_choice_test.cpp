// Tools that must be called, or whose arguments must keep to their schemas.
#include <gmock/gmock.h>

#include "api/grammars/tool_grammar.h"
#include "api/testing/grammar_fits.h"
#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;
using Tokens = std::vector<int32_t>;

Json tool(const char* name, const Json& parameters, bool strict = false) {
  Json function = {{"name", name}};
  if (!parameters.is_null()) function["parameters"] = parameters;
  if (strict) function["strict"] = true;
  return {{"type", "function"}, {"function", function}};
}

const Json kAddParameters = {{"type", "object"},
                             {"properties", {{"x", {{"type", "integer"}}}}},
                             {"required", {"x"}},
                             {"additionalProperties", false}};
const Json kTools = Json::array({tool("add", kAddParameters), tool("now", {})});

// Text with the markers spelled: '<' calls begin, '(' call begin, '|' separator, ')' call end,
// '>' calls end.
Tokens with_markers(const std::string& text) {
  const std::map<char, int32_t> markers = {{'<', kCallsBeginId},
                                           {'(', kCallBeginId},
                                           {'|', kCallSepId},
                                           {')', kCallEndId},
                                           {'>', kCallsEndId}};
  Tokens tokens;
  for (const char c : text) {
    const auto found = markers.find(c);
    tokens.push_back(found == markers.end() ? static_cast<unsigned char>(c) : found->second);
  }
  return tokens;
}

engine::Request request_of(const Json& extra) {
  Harness harness;
  const auto writer = harness.chat(extra);
  EXPECT_EQ(harness.engine.requests.size(), 1u) << writer->response.body;
  if (harness.engine.requests.empty()) return {};
  EXPECT_THAT(prompt_text(harness, 0), HasSubstr("[tools:"));
  return harness.engine.requests[0].request;
}

TEST(ToolChoice, RequiredAllowsNothingButCalls) {
  const auto request = request_of({{"tools", kTools}, {"tool_choice", "required"}});
  EXPECT_TRUE(fits(request, with_markers(R"(<(add|{"x":1})>)")));
  EXPECT_TRUE(fits(request, with_markers(R"(<(add|{"x":1})(now|{})(add|{"x": 2})>)")));
  for (const char* text :
       {"", "text", "text<(now|{})>", "<>", "<(now|{})", "(now|{})", "<(sub|{})>",
        R"(<(add|{"x":"1"})>)", R"(<(now|{"x":1})>)", "<(now|{}x)>", "<(now|{})>text"}) {
    EXPECT_FALSE(fits(request, with_markers(text))) << text;
  }
  EXPECT_FALSE(fits(request, tokens_of("<｜tool▁calls▁begin｜>")));
}

TEST(ToolChoice, ParallelCallsMayBeForbidden) {
  const auto request =
      request_of({{"tools", kTools}, {"tool_choice", "required"}, {"parallel_tool_calls", false}});
  EXPECT_TRUE(fits(request, with_markers("<(now|{})>")));
  EXPECT_FALSE(fits(request, with_markers("<(now|{})(now|{})>")));
}

TEST(ToolChoice, ANamedFunctionIsCalledOnce) {
  const auto request =
      request_of({{"tools", kTools},
                  {"tool_choice", {{"type", "function"}, {"function", {{"name", "now"}}}}}});
  EXPECT_TRUE(fits(request, with_markers("<(now|{})>")));
  EXPECT_FALSE(fits(request, with_markers("<(now|{})(now|{})>")));
  EXPECT_FALSE(fits(request, with_markers(R"(<(add|{"x":1})>)")));
}

Json allowed_tools(const char* mode, const std::vector<std::string>& names) {
  Json tools = Json::array();
  for (const std::string& name : names) tools.push_back(tool(name.c_str(), {}));
  return {{"type", "allowed_tools"}, {"allowed_tools", {{"mode", mode}, {"tools", tools}}}};
}

TEST(ToolChoice, OnlyAllowedToolsAreCalled) {
  const auto request =
      request_of({{"tools", kTools}, {"tool_choice", allowed_tools("required", {"now"})}});
  EXPECT_TRUE(fits(request, with_markers("<(now|{})(now|{})>")));
  EXPECT_FALSE(fits(request, with_markers(R"(<(add|{"x":1})>)")));
  EXPECT_FALSE(fits(request, with_markers("text")));

  const auto free =
      request_of({{"tools", kTools}, {"tool_choice", allowed_tools("auto", {"now"})}});
  EXPECT_TRUE(fits(free, with_markers("text")));
  EXPECT_TRUE(fits(free, with_markers("text<(now|{})>")));
  EXPECT_FALSE(fits(free, with_markers(R"(text<(add|{"x":1})>)")));
}

TEST(ToolChoice, AutoIsFreeUnlessAToolIsStrict) {
  EXPECT_EQ(request_of({{"tools", kTools}}).grammar, nullptr);
  const Json tools = Json::array({tool("add", kAddParameters, true), tool("log", Json::object())});
  const auto request = request_of({{"tools", tools}});
  for (const char* text : {"", "Some text.\n", "<(add|{\"x\":1})>", "Well:\n<(add|{\"x\":1})>",
                           R"(<(log|{"any": ["thing", 1]})(add|{"x": -5})>)"}) {
    EXPECT_TRUE(fits(request, with_markers(text))) << text;
  }
  for (const char* text : {"<(add|{})>", "text (add|{\"x\":1})", "<(log|1)>", "<(add|{\"x\":1})"}) {
    EXPECT_FALSE(fits(request, with_markers(text))) << text;
  }
}

TEST(ToolChoice, AnAnswerWithoutCallsMayHaveASchema) {
  const auto request =
      request_of({{"tools", kTools}, {"structured_outputs", {{"json", {{"type", "boolean"}}}}}});
  EXPECT_TRUE(fits(request, tokens_of("true")));
  EXPECT_TRUE(fits(request, with_markers("<(now|{})>")));
  EXPECT_FALSE(fits(request, tokens_of("text")));

  const char* const rules = "root ::= \"a\" more\nmore ::= \"b\" more | \"c\"";
  const auto ebnf = request_of({{"tools", kTools}, {"structured_outputs", {{"grammar", rules}}}});
  EXPECT_TRUE(fits(ebnf, tokens_of("abbc")));
  EXPECT_TRUE(fits(ebnf, with_markers("<(now|{})>")));
  EXPECT_FALSE(fits(ebnf, tokens_of("ab")));
  EXPECT_FALSE(fits(ebnf, with_markers("abc<(now|{})>")));
}

TEST(ToolChoice, WhatIsLeftOutOfASchemaIsTold) {
  Harness harness;
  const Json odd = {{"type", "object"},
                    {"properties", {{"x", {{"type", "integer"}, {"not", {{"const", 7}}}}}}},
                    {"required", {"x"}}};
  const auto writer =
      harness.chat({{"tools", {tool("add", odd), tool("now", {})}}, {"tool_choice", "required"}});
  harness.engine.finish(0);
  EXPECT_EQ(writer->response.status, 200);
  EXPECT_EQ(writer->header("x-fathom-warning"), "tool add: #/properties/x/not: is not supported");
  const auto& request = harness.engine.requests.at(0).request;
  EXPECT_TRUE(fits(request, with_markers(R"(<(add|{"x":7})>)")));
  EXPECT_FALSE(fits(request, with_markers(R"(<(add|{"x":"7"})>)")));
}

TEST(ToolChoice, ASchemaThatCannotBeKeptToIsRefusedIfStrict) {
  const Json odd = {{"type", "object"}, {"not", {{"required", {"x"}}}}};
  const auto request =
      request_of({{"tools", Json::array({tool("odd", odd)})}, {"tool_choice", "required"}});
  EXPECT_TRUE(fits(request, with_markers(R"(<(odd|{"any": 1})>)")));
  EXPECT_FALSE(fits(request, with_markers("<(odd|1)>")));

  Harness harness;
  const Json error = expect_error(
      *harness.chat({{"tools", Json::array({tool("now", {}), tool("odd", odd, true)})}}), 400);
  EXPECT_EQ(error["param"], "tools[1].function.parameters");
  EXPECT_THAT(error["message"].get<std::string>(), HasSubstr("#/not"));
  const Json never = {{"type", "object"}, {"properties", {{"a", false}}}, {"required", {"a"}}};
  EXPECT_EQ(
      expect_error(*harness.chat({{"tools", Json::array({tool("n", never, true)})}}), 400)["param"],
      "tools[0].function.parameters");
}

TEST(ToolChoice, WhatDoesNotFitIsRefused) {
  const auto refuse = [](const Json& extra, const std::string& param) {
    Harness harness;
    EXPECT_EQ(expect_error(*harness.chat(extra), 400)["param"], param) << extra.dump();
  };
  const auto named = [](const Json& function) {
    return Json{{"tools", kTools}, {"tool_choice", {{"type", "function"}, {"function", function}}}};
  };
  refuse({{"tool_choice", "required"}}, "tool_choice");
  refuse({{"tool_choice", "any"}, {"tools", kTools}}, "tool_choice");
  refuse({{"tool_choice", {{"type", "function"}}}, {"tools", kTools}}, "tool_choice");
  refuse(named(Json::object()), "tool_choice.function.name");
  refuse(named({{"name", 1}}), "tool_choice.function.name");
  refuse(named({{"name", "sub"}}), "tool_choice.function.name");
  const auto allowed = [](const Json& choice) {
    return Json{{"tools", kTools}, {"tool_choice", choice}};
  };
  refuse(allowed({{"type", "allowed_tools"}}), "tool_choice.allowed_tools");
  refuse(allowed(allowed_tools("none", {"now"})), "tool_choice.allowed_tools.mode");
  refuse(allowed(allowed_tools("auto", {})), "tool_choice.allowed_tools.tools");
  refuse(allowed(allowed_tools("auto", {"now", "sub"})), "tool_choice.allowed_tools.tools");
  refuse({{"tool_choice", allowed_tools("auto", {"now"})}}, "tool_choice");
  refuse({{"tools",
           Json::array({tool("f", {}),
                        {{"type", "function"}, {"function", {{"name", "g"}, {"strict", 1}}}}})}},
         "tools[1].function.strict");
}

TEST(ToolChoice, TheThoughtComesFirst) {
  Harness harness;
  const auto writer = harness.chat(
      {{"tools", kTools}, {"tool_choice", "required"}, {"thinking", {{"type", "enabled"}}}});
  EXPECT_EQ(harness.engine.requests.at(0).request.thought->end, kThinkEndId);
  harness.engine.text(0, "hm");
  harness.engine.token(0, kThinkEndId);
  for (const int32_t token : with_markers("<(now|{})>")) harness.engine.token(0, token);
  harness.engine.finish(0);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["reasoning_content"], "hm");
  EXPECT_EQ(choice["message"]["tool_calls"][0]["function"]["name"], "now");
}

TEST(ToolChoice, AnAnswerOfOneCallEndsWithIt) {
  Harness harness;
  const auto writer = harness.chat({{"tools", kTools}, {"parallel_tool_calls", false}});
  for (const int32_t token : with_markers("<(now|{})")) harness.engine.token(0, token);
  EXPECT_TRUE(harness.engine.requests[0].cancelled);
  const Json choice = writer->json()["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_EQ(choice["message"]["tool_calls"].size(), 1u);
}

TEST(ToolGrammar, FencedCallsReadAsTheParserWantsThem) {
  const MarkerTable markers(test_tokenizer(false));
  ToolRules rules{
      .tools = tool_specs(kTools), .form = ToolForm::kFenced, .forced = true, .structure = {}};
  const auto grammar = tool_call_grammar(rules, markers);
  ASSERT_TRUE(grammar.ok());
  std::vector<std::string_view> none;
  const auto compiled =
      grammar::CompiledGrammar::build(*grammar, grammar::Vocabulary::build(none, {}));
  const auto whole = [&](const std::string& text) {
    grammar::Matcher matcher(*compiled);
    return matcher.accept_text(text) && matcher.can_end();
  };
  const std::string begin = "<｜tool▁calls▁begin｜>";
  const std::string end = "<｜tool▁calls▁end｜>";
  const std::string add =
      "<｜tool▁call▁begin｜>function<｜tool▁sep｜>add\n```json\n{\"x\": 1}\n```<｜tool▁call▁end｜>";
  EXPECT_TRUE(whole(begin + add + end));
  EXPECT_TRUE(whole(begin + add + "\n" + add + end));
  EXPECT_FALSE(whole(begin + add + add + end));
  EXPECT_FALSE(whole(add));

  // Text that spells a marker does not get around the rules.
  rules.forced = false;
  rules.tools[0].strict = true;
  const auto free = tool_call_grammar(rules, markers);
  ASSERT_TRUE(free.ok());
  const auto free_compiled =
      grammar::CompiledGrammar::build(*free, grammar::Vocabulary::build(none, {}));
  for (const auto& [text, good] :
       std::vector<std::pair<std::string, bool>>{{"text <｜tool▁", true},
                                                 {"text " + begin + add + end, true},
                                                 {"text " + begin + "anything", false},
                                                 {begin + add + end + "text", false}}) {
    grammar::Matcher matcher(*free_compiled);
    EXPECT_EQ(matcher.accept_text(text) && matcher.can_end(), good) << text;
  }
}

TEST(ToolGrammar, AnEmptySchemaMeansAnyObject) {
  const auto specs = tool_specs(Json::array(
      {tool("a", {}), tool("b", Json::object()), tool("c", {{"properties", {{"x", true}}}}),
       tool("d", {{"$ref", "#/$defs/t"}, {"$defs", {{"t", {{"type", "object"}}}}}}, true)}));
  EXPECT_EQ(specs[0].parameters, R"({"type":"object","properties":{}})");
  EXPECT_EQ(specs[1].parameters, R"({"type":"object"})");
  EXPECT_EQ(specs[2].parameters, R"({"type":"object","properties":{"x":true}})");
  EXPECT_EQ(specs[3].parameters, R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"object"}}})");
  EXPECT_TRUE(specs[3].strict);
  EXPECT_EQ(specs[3].path, "tools[3].function.parameters");
}

}  // namespace
}  // namespace fathom::api
