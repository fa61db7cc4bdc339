// Structured output: which grammar the engine is given, what is refused, and where stop strings
// count.
#include <gmock/gmock.h>

#include "api/testing/grammar_fits.h"
#include "api/testing/harness.h"

namespace fathom::api {
namespace {

using testing::HasSubstr;

Json schema_format(const Json& schema, bool strict = false) {
  return {{"response_format",
           {{"type", "json_schema"},
            {"json_schema", {{"name", "x"}, {"schema", schema}, {"strict", strict}}}}}};
}

const Json kPerson = {
    {"type", "object"},
    {"properties", {{"name", {{"type", "string"}}}, {"age", {{"type", "integer"}}}}},
    {"required", {"name", "age"}},
    {"additionalProperties", false}};

TEST(Structured, ChatIsGeneratedWithinTheSchema) {
  Harness harness;
  harness.chat(schema_format(kPerson));
  ASSERT_EQ(harness.engine.requests.size(), 1u);
  const auto& request = harness.engine.requests[0].request;
  EXPECT_TRUE(fits(request, tokens_of(R"({"name": "é", "age": 3})")));
  // In the schema's order of members, which is not that of the alphabet.
  EXPECT_FALSE(fits(request, tokens_of(R"({"age": 3, "name": "a"})")));
  EXPECT_FALSE(fits(request, tokens_of(R"({"name": "a", "age": "3"})")));
  EXPECT_FALSE(fits(request, tokens_of(R"({"name": "a")")));
  EXPECT_FALSE(request.thought);
}

TEST(Structured, EveryKindAndBothRoutes) {
  const std::tuple<Json, const char*, const char*> cases[] = {
      {{{"response_format", {{"type", "json_object"}}}}, R"({"a": [1]})", "[1]"},
      {{{"structured_outputs", {{"json", kPerson}}}}, R"({"name":"","age":1})", "{}"},
      {{{"structured_outputs", {{"json", R"({"type": "null"})"}}}}, "null", "1"},
      {{{"structured_outputs", {{"json_object", true}}}}, "{}", "1"},
      {{{"structured_outputs", {{"regex", "[a-c]{2}"}}}}, "ab", "ad"},
      {{{"structured_outputs", {{"grammar", "root ::= \"x\"+"}}}}, "xx", "y"},
      {{{"structured_outputs", {{"choice", {"yes", "no\n"}}}}}, "no\n", "no"},
  };
  for (const auto& [extra, yes, no] : cases) {
    SCOPED_TRACE(extra.dump());
    Harness harness;
    harness.chat(extra);
    Json completion = {{"prompt", "x"}};
    completion.update(extra);
    harness.post("/v1/completions", completion);
    ASSERT_EQ(harness.engine.requests.size(), 2u);
    for (const auto& submitted : harness.engine.requests) {
      EXPECT_TRUE(fits(submitted.request, tokens_of(yes)));
      EXPECT_FALSE(fits(submitted.request, tokens_of(no)));
    }
  }
  Harness harness;
  harness.chat({{"response_format", {{"type", "text"}}}});
  EXPECT_EQ(harness.engine.requests.at(0).request.grammar, nullptr);
}

TEST(Structured, ChoicesShareOneGrammar) {
  Harness harness;
  Json extra = schema_format(kPerson);
  extra["n"] = 3;
  harness.chat(extra);
  harness.chat(extra);
  ASSERT_EQ(harness.engine.requests.size(), 6u);
  for (const auto& submitted : harness.engine.requests) {
    EXPECT_EQ(submitted.request.grammar, harness.engine.requests[0].request.grammar);
  }
}

TEST(Structured, WhatCannotBeIsRefusedWithItsPlace) {
  Harness harness;
  const auto expect_refused = [&](const FakeWriter& writer, const std::string& param,
                                  const std::string& message) {
    const Json error = expect_error(writer, 400);
    EXPECT_EQ(error["param"], param);
    EXPECT_THAT(error["message"].get<std::string>(), HasSubstr(message));
    EXPECT_TRUE(harness.engine.requests.empty());
  };
  const auto refuse = [&](const Json& extra, const std::string& param, const std::string& message) {
    SCOPED_TRACE(extra.dump().substr(0, 200));
    expect_refused(*harness.chat(extra), param, message);
    Json body = {{"prompt", "x"}};
    body.update(extra);
    expect_refused(*harness.post("/v1/completions", body), param, message);
  };
  const std::string schema = "response_format.json_schema.schema";
  const auto age = [](const Json& value) {
    return schema_format(
        {{"type", "object"}, {"properties", {{"age", value}}}, {"required", {"age"}}}, true);
  };
  refuse(age({{"type", "integer"}, {"minimum", 3}, {"maximum", 2}}), schema, "#/properties/age");
  refuse(age({{"not", Json::object()}}), schema, "#/properties/age/not");
  refuse(age(false), schema, "#: expected something that some text matches");
  refuse(age({{"type", "text"}}), schema, "#/properties/age/type");
  refuse(age({{"type", "string"}, {"pattern", "("}}), schema, "#/properties/age/pattern");
  refuse(age({{"$ref", "#/nowhere"}}), schema, "#/properties/age/$ref");
  refuse(age({{"type", "string"}, {"minLength", 1e300}}), schema, "#/properties/age/minLength");
  Json large = Json::object();
  for (int i = 0; i < 3000; ++i) {
    large["p" + std::to_string(i)] = {{"type", "string"}, {"maxLength", 60000 - i}};
  }
  refuse(schema_format({{"type", "object"}, {"properties", large}}, true), schema, "expected");
  refuse({{"structured_outputs", {{"json", {{"not", Json::object()}}}}}}, "structured_outputs.json",
         "#/not");
  refuse(schema_format(1), schema, "a JSON schema");
  refuse({{"response_format", 1}}, "response_format", "type");
  refuse({{"response_format", {{"type", "xml"}}}}, "response_format.type", "json_schema");
  refuse({{"response_format", {{"type", "json_schema"}}}}, "response_format.json_schema", "schema");
  refuse({{"response_format", {{"type", "json_schema"}, {"json_schema", Json::object()}}}},
         "response_format.json_schema.name", "a string");
  refuse({{"structured_outputs", Json::object()}}, "structured_outputs", "one of");
  refuse({{"structured_outputs", {{"regex", "a"}, {"json_object", true}}}}, "structured_outputs",
         "one of");
  refuse({{"structured_outputs", {{"regex", "(a"}}}}, "structured_outputs.regex", "expected");
  refuse({{"structured_outputs", {{"grammar", "a ::= b"}}}}, "structured_outputs.grammar",
         "expected");
  refuse({{"structured_outputs", {{"grammar", "root ::= root \"a\" | \"b\""}}}},
         "structured_outputs.grammar", "root");
  refuse({{"structured_outputs", {{"choice", Json::array()}}}}, "structured_outputs.choice",
         "at least one");
  refuse({{"structured_outputs", {{"choice", {"a", 1}}}}}, "structured_outputs.choice[1]",
         "a string");
  refuse({{"structured_outputs", {{"json", 1}}}}, "structured_outputs.json", "schema");
  refuse({{"structured_outputs", {{"regex", "a"}}}, {"response_format", {{"type", "json_object"}}}},
         "structured_outputs.regex", "only one");
  refuse({{"guided_json", kPerson}}, "guided_json", "structured_outputs");
}

// Without `strict` the rest of a schema is kept to, and a header says what is not.
// Whichever dialect asks, the schema that is refused is named as the request has it.
TEST(Structured, OtherDialectsNameTheirOwnFields) {
  Harness harness;
  const Json schema = {{"type", "object"},
                       {"properties", {{"age", {{"not", Json::object()}}}}},
                       {"required", {"age"}},
                       {"additionalProperties", false}};
  const auto refuse = [&](const char* path, Json body, const std::string& field) {
    const auto writer = harness.post(path, body);
    EXPECT_EQ(writer->response.status, 400) << path;
    const auto text = writer->json()["error"]["message"].get<std::string>();
    EXPECT_THAT(text, testing::StartsWith(field + ": #/properties/age/not")) << path;
    EXPECT_TRUE(harness.engine.requests.empty());
  };
  const Json format = {
      {"type", "json_schema"}, {"name", "x"}, {"schema", schema}, {"strict", true}};
  refuse("/v1/responses", {{"input", "hi"}, {"text", {{"format", format}}}}, "text.format.schema");
  const Json function = {
      {"type", "function"}, {"name", "f"}, {"parameters", schema}, {"strict", true}};
  refuse("/v1/responses", {{"input", "hi"}, {"tools", {{{"type", "web_search"}}, function}}},
         "tools[1].parameters");
  const Json messages = {
      {"model", "tiny"}, {"max_tokens", 5}, {"messages", {{{"role", "user"}, {"content", "hi"}}}}};
  Json asked = messages;
  asked["output_config"] = {{"format", {{"type", "json_schema"}, {"schema", schema}}}};
  refuse("/v1/messages", asked, "output_config.format.schema");
  asked = messages;
  asked["tools"] = {{{"name", "f"}, {"input_schema", schema}, {"strict", true}}};
  refuse("/v1/messages", asked, "tools[0].input_schema");
}

TEST(Structured, WhatIsNotStrictFallsBack) {
  const Json age = {{"type", "integer"}, {"not", {{"const", 7}}}};
  const Json schema = {{"type", "object"}, {"properties", {{"age", age}}}, {"required", {"age"}}};
  Harness harness;
  for (int i = 0; i < 2; ++i) {  // also from the cache
    const auto writer = harness.chat(schema_format(schema));
    harness.engine.text(static_cast<size_t>(i), R"({"age":7})");
    harness.engine.finish(static_cast<size_t>(i));
    EXPECT_EQ(writer->response.status, 200);
    EXPECT_THAT(writer->header("x-fathom-warning"), HasSubstr("#/properties/age/not"));
  }
  Json completion = {{"prompt", "x"}};
  completion.update(schema_format(schema));
  harness.post("/v1/completions", completion);
  ASSERT_EQ(harness.engine.requests.size(), 3u);
  for (const auto& submitted : harness.engine.requests) {
    EXPECT_TRUE(fits(submitted.request, tokens_of(R"({"age":7})")));
    EXPECT_FALSE(fits(submitted.request, tokens_of(R"({"age":"7"})")));
  }
  // What is kept to whole has no warning, and what is no schema is refused all the same.
  const auto whole = harness.chat(schema_format(kPerson));
  harness.engine.text(3, R"({"name":"","age":1})");
  harness.engine.finish(3);
  EXPECT_EQ(whole->response.status, 200);
  EXPECT_EQ(whole->header("x-fathom-warning"), "");
  EXPECT_EQ(harness.chat(schema_format({{"type", "text"}}))->response.status, 400);
}

TEST(Structured, ATooLargeSchemaThatIsNotStrictFallsBackToAnyObject) {
  Json large = Json::object();
  for (int i = 0; i < 3000; ++i) {
    large["p" + std::to_string(i)] = {{"type", "string"}, {"maxLength", 60000 - i}};
  }
  Harness harness;
  const auto writer = harness.chat(schema_format({{"type", "object"}, {"properties", large}}));
  harness.engine.text(0, "{}");
  harness.engine.finish(0);
  EXPECT_EQ(writer->response.status, 200);
  EXPECT_THAT(writer->header("x-fathom-warning"), HasSubstr("any object"));
  EXPECT_TRUE(fits(harness.engine.requests.at(0).request, tokens_of(R"({"x": [1]})")));
  EXPECT_FALSE(fits(harness.engine.requests.at(0).request, tokens_of("1")));
}

TEST(Structured, NoSpecialTokenIsAllowed) {
  Harness harness;
  harness.chat({{"structured_outputs", {{"regex", "(.|\n)*"}}}});
  const auto& request = harness.engine.requests.at(0).request;
  EXPECT_TRUE(fits(request, tokens_of("any thing \xC3\xA9\n")));
  for (const int32_t token : {kBosId, kThinkId, kThinkEndId, kCallBeginId, kEosId, 0xFF, 399}) {
    EXPECT_FALSE(fits(request, {token})) << token;
  }
}

TEST(Structured, AStopStringOnlyCountsWhereTheTextMayEnd) {
  Harness harness;
  const Json extra = {{"stop", {"}", "3"}}, {"structured_outputs", {{"regex", "[0-9}]*a?9+"}}}};
  // "}" and "3" come before any 9, where no text ends; then "9" may end, and "}" cuts it off.
  const Json answer = harness.chat_answer("1}32a", extra);
  EXPECT_EQ(answer["choices"][0]["message"]["content"], "1}32a");
  const auto writer = harness.chat(extra);
  harness.engine.text(1, "1}3299}9");
  EXPECT_TRUE(harness.engine.requests[1].cancelled);
  EXPECT_EQ(writer->json()["choices"][0]["message"]["content"], "1}3299");
  EXPECT_EQ(writer->json()["choices"][0]["finish_reason"], "stop");
}

TEST(Structured, StopStringsWithinTheThoughtDoNotCount) {
  Harness harness;
  Json extra = schema_format(kPerson);
  extra["thinking"] = {{"type", "enabled"}};
  extra["stop"] = "\n";
  const auto writer = harness.chat(extra);
  EXPECT_EQ(harness.engine.requests.at(0).request.thought->end, kThinkEndId);
  EXPECT_FALSE(harness.engine.requests.at(0).request.thought->budget);
  harness.engine.text(0, "a\nb");
  harness.engine.token(0, kThinkEndId);
  harness.engine.text(0, "{\n\"name\": \"x\", \"age\": 1}");
  EXPECT_FALSE(harness.engine.requests[0].cancelled);
  harness.engine.finish(0);
  const Json message = writer->json()["choices"][0]["message"];
  EXPECT_EQ(message["reasoning_content"], "a\nb");
  EXPECT_EQ(message["content"], "{\n\"name\": \"x\", \"age\": 1}");
}

TEST(Structured, AThoughtNeedsItsToken) {
  Harness harness(Harness::default_options(), false);
  Json extra = schema_format(kPerson);
  harness.chat(extra);
  EXPECT_EQ(harness.engine.requests.size(), 1u);
  extra["thinking"] = {{"type", "enabled"}};
  EXPECT_EQ(expect_error(*harness.chat(extra), 400)["param"], "thinking");
}

}  // namespace
}  // namespace fathom::api
