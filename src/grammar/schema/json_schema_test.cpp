#include "grammar/schema/json_schema.h"

#include <gtest/gtest.h>

#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

std::shared_ptr<const CompiledGrammar> schema(std::string_view text) {
  const auto grammar = json_schema_grammar(text);
  EXPECT_TRUE(grammar.ok()) << text << ": " << grammar.error().message;
  return grammar.ok() ? compiled(*grammar) : nullptr;
}

struct Case {
  std::string schema;
  std::vector<const char*> yes;
  std::vector<const char*> no;
};

void check(const std::vector<Case>& cases) {
  for (const Case& item : cases) {
    const auto grammar = schema(item.schema);
    ASSERT_NE(grammar, nullptr) << item.schema;
    for (const char* text : item.yes)
      EXPECT_TRUE(matches(grammar, text)) << item.schema << " " << text;
    for (const char* text : item.no)
      EXPECT_FALSE(matches(grammar, text)) << item.schema << " " << text;
  }
}

TEST(JsonSchema, Scalars) {
  check({
      {R"(true)", {"1", "[{}]", "\"x\""}, {"", "x"}},
      {R"({"type":"boolean"})", {"true", "false"}, {"null", "1"}},
      {R"({"type":["integer","null"]})", {"7", "null"}, {"7.5", "\"\""}},
      {R"({"type":"string","nullable":true})", {"\"a\"", "null"}, {"1"}},
      {R"({"enum":["a\"b",1,null,[1,{"k":2}]]})",
       {R"("a\"b")", "1", "null", R"([1,{"k":2}])", R"([1, {"k": 2}])"},
       {"\"a\"", "2", "[1]"}},
      {R"({"const":"only","title":"ignored"})", {"\"only\""}, {"\"other\""}},
      {R"({"type":"string","enum":["a",1,"bcd"],"maxLength":2})", {"\"a\""}, {"1", "\"bcd\""}},
      {R"({"type":"integer","enum":[1,2,3],"minimum":2,"exclusiveMaximum":3})", {"2"}, {"1", "3"}},
      {R"({"type":"integer","minimum":-5,"exclusiveMaximum":12})",
       {"-5", "0", "11"},
       {"-6", "12", "1.0"}},
      {R"({"minimum":0.5})", {"0.5", "7"}, {"0.49", "\"x\""}},
      {R"({"type":"number","multipleOf":5})", {"0", "15", "-5"}, {"7", "5.0"}},
  });
}

TEST(JsonSchema, Strings) {
  check({
      {R"({"type":"string","minLength":2,"maxLength":3})",
       {"\"ab\"", "\"éé\"", R"("\"\\")", R"("a\nb")", "\"😀😀😀\""},
       {"\"a\"", "\"abcd\"", R"("\u0041b")"}},
      {R"({"type":"string","pattern":"^[a-z]+-\\d{2}$"})",
       {"\"ab-12\""},
       {"\"ab-123\"", "\"-12\""}},
      {R"({"type":"string","pattern":"b"})", {"\"abc\"", "\"b\""}, {"\"ac\""}},
      {R"({"type":"string","pattern":"^a*$","minLength":2,"maxLength":4})",
       {"\"aa\"", "\"aaaa\""},
       {"\"a\"", "\"aaaaa\"", "\"ab\""}},
      {R"({"allOf":[{"type":"string","pattern":"a"},{"pattern":"b"}]})",
       {"\"ab\"", "\"b-a\""},
       {"\"a\""}},
      {R"({"type":"string","format":"date"})",
       {"\"2024-02-29\"", "\"1999-12-31\""},
       {"\"2023-02-29\"", "\"2023-13-01\"", "\"1900-02-29\"", "\"0000-01-01\""}},
      {R"({"type":"string","format":"date-time"})",
       {"\"2024-02-29T23:59:59Z\"", "\"2024-01-01T00:00:00.5+02:00\""},
       {"\"2024-01-01 00:00:00Z\"", "\"2024-01-01T24:00:00Z\""}},
      {R"({"type":"string","format":"ipv4"})",
       {"\"255.0.10.1\""},
       {"\"256.0.0.1\"", "\"01.2.3.4\""}},
      {R"({"type":"string","format":"uuid"})",
       {"\"123e4567-e89b-12d3-a456-426614174000\""},
       {"\"123\""}},
      {R"({"type":"string","format":"email"})", {"\"a.b+c@example.org\""}, {"\"a@\"", "\"@b.c\""}},
  });
}

TEST(JsonSchema, Objects) {
  const char* open = R"({"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"},
      "c":{"type":"null"}},"required":["b"],"additionalProperties":{"type":"boolean"}})";
  check({
      {R"({"type":"object"})", {"{}", R"({"x": [1]})"}, {"[]"}},
      {open,
       {R"({"b":""})", R"({"a":1,"b":"x","c":null})", R"({"b":"","c":null,"d":true,"e":false})"},
       {R"({"a":1})", R"({})", R"({"b":"","a":1})", R"({"b":"","a":true})", R"({"b":"","d":1})",
        R"({"b":"",})", R"({,"b":""})", R"({"b":"","\u0061":true})"}},
      {R"({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}}})",
       {"{}", R"({"a":1})", R"({"b":2})", R"({"c":3})", R"({"a":1,"c":3})",
        R"({ "a": 1, "b": 2 })"},
       {R"({"d":1})", R"({"c":3,"a":1})", "{,}"}},
      {R"({"type":"object","required":["x","y"],"properties":{"y":{"const":2}},
           "additionalProperties":{"type":"integer"}})",
       {R"({"y":2,"x":7})"},
       {R"({"y":2})", R"({"y":2,"x":""})"}},
      {R"({"type":"object","patternProperties":{"^n_":{"type":"integer"},"^s_":{"type":"string"}},
           "properties":{"n_x":{"minimum":5}},"additionalProperties":false})",
       {R"({"n_x":6,"n_y":1,"s_":"q"})", "{}"},
       {R"({"n_x":1})", R"({"n_y":"q"})", R"({"z":1})"}},
      {R"({"type":"object","propertyNames":{"pattern":"^[a-z]{2}$"},"additionalProperties":{"const":0}})",
       {R"({"ab":0,"cd":0})"},
       {R"({"abc":0})", R"({"AB":0})"}},
      {R"({"type":"object","minProperties":1,"additionalProperties":{"const":0}})",
       {R"({"a":0})"},
       {"{}"}},
      {R"({"properties":{"a":{"const":1},"b":{"const":2},"c":{"const":3}},"minProperties":2,"maxProperties":2,
           "additionalProperties":false})",
       {R"({"a":1,"c":3})", R"({"b":2,"c":3})"},
       {R"({"a":1})", R"({"a":1,"b":2,"c":3})"}},
      {R"({"properties":{"a":false,"b":{"const":1}}})", {R"({"b":1})"}, {R"({"a":1})"}},
  });
}

TEST(JsonSchema, Arrays) {
  check({
      {R"({"type":"array","items":{"type":"integer"},"minItems":1,"maxItems":3})",
       {"[1]", "[1,2, 3]", "[\n  1,\n  2\n]"},
       {"[]", "[1,2,3,4]", "[\"\"]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2},{"const":3}]})",
       {"[]", "[1]", "[1,2]", "[1,2,3]"},
       {"[2]", "[1,2,3,4]"}},
      {R"({"type":"array","prefixItems":[{"const":1},{"const":2}],"items":{"const":9},"minItems":1,"maxItems":4})",
       {"[1]", "[1,2]", "[1,2,9]", "[1,2,9,9]"},
       {"[]", "[1,9]", "[1,2,9,9,9]"}},
      {R"({"items":[{"const":1}],"additionalItems":{"const":2},"minItems":3})",
       {"[1,2,2]"},
       {"[1,2]"}},
      {R"({"type":"array","maxItems":0})", {"[]"}, {"[1]"}},
      {R"({"type":"array","items":false})", {"[]"}, {"[1]"}},
  });
}

TEST(JsonSchema, Combinations) {
  check({
      {R"({"anyOf":[{"type":"integer"},{"type":"string","maxLength":1}]})",
       {"12", "\"a\""},
       {"\"ab\""}},
      {R"({"type":"object","properties":{"k":{"type":"string"}},"required":["k"],
           "anyOf":[{"properties":{"k":{"const":"a"},"n":{"type":"integer"}},"required":["n"]},
                    {"properties":{"k":{"const":"b"}}}]})",
       {R"({"k":"a","n":1})", R"({"k":"b"})"},
       {R"({"k":"a"})", R"({"k":"c"})"}},
      {R"({"oneOf":[{"type":"object","properties":{"t":{"const":"x"},"v":{"type":"integer"}},"required":["t","v"]},
                    {"type":"object","properties":{"t":{"const":"y"}},"required":["t"]},{"type":"null"}]})",
       {R"({"t":"x","v":1})", R"({"t":"y"})", "null"},
       {R"({"t":"x"})"}},
      {R"({"oneOf":[{"type":"integer","maximum":3},{"type":"integer","exclusiveMinimum":3}]})",
       {"3", "4"},
       {"x"}},
      {R"({"allOf":[{"properties":{"a":{"type":"integer"}},"required":["a"]},
                    {"properties":{"a":{"minimum":5},"b":{"const":1}}}],"type":"object"})",
       {R"({"a":5})", R"({"a":6,"b":1})"},
       {R"({"a":4})", R"({"b":1})"}},
      {R"({"$defs":{"p":{"type":"integer"}},"allOf":[{"$ref":"#/$defs/p"}],"minimum":3})",
       {"3"},
       {"2"}},
      {R"({"$ref":"#/$defs/a~1b","$defs":{"a/b":{"const":1}}})", {"1"}, {"2"}},
  });
}

// As DeepSeek's guide writes it.
TEST(JsonSchema, DefinitionsUnderDef) {
  check({
      {R"({"type":"array","items":{"$ref":"#/$def/p"},"$def":{"p":{"type":"integer","minimum":3}}})",
       {"[3]"},
       {"[2]", "[\"a\"]"}},
  });
}

// Generators write numbers like these where they mean no bound.
TEST(JsonSchema, VeryLargeUpperBoundsAreNone) {
  check({
      {R"({"type":"string","maxLength":2147483647,"pattern":"^[ab]{2}$"})",
       {"\"ab\""},
       {"\"a\"", "\"abc\""}},
      {R"({"type":"string","minLength":1,"maxLength":1000000000})", {"\"a\""}, {"\"\""}},
      {R"({"type":"string","maxLength":18446744073709551615})", {"\"a\""}, {"1"}},
      {R"({"maxLength":4294967296})", {"\"a\""}, {"1"}},
      {R"({"type":"string","maxLength":1e12})", {"\"a\""}, {"1"}},
      {R"({"type":"string","maxLength":2.0})", {"\"ab\""}, {"\"abc\""}},
      {R"({"type":"array","items":{"type":"null"},"minItems":1,"maxItems":2147483647})",
       {"[null, null]"},
       {"[]"}},
      {R"({"type":"object","additionalProperties":{"type":"null"},"maxProperties":2147483647})",
       {R"({"a": null})"},
       {R"({"a": 1})"}},
      {R"({"type":"string","pattern":"^a{1,2147483647}$"})", {"\"aaa\""}, {"\"\"", "\"b\""}},
      {R"({"type":"number","minimum":-1.7976931348623157e308,"maximum":1.7976931348623157e308})",
       {"-12.5"},
       {"\"a\""}},
      {R"({"type":"number","minimum":0,"maximum":1e300})", {"12.5"}, {"-1"}},
      {R"({"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807})",
       {"-7"},
       {"0.5"}},
      {R"({"enum":["a","b"],"maxLength":99999999999})", {"\"a\""}, {"\"c\""}},
  });
  for (const char* low : {"minLength", "minItems", "minProperties"}) {
    const auto grammar =
        json_schema_grammar(std::string("{\"") + low + "\":2147483647,\"type\":[\"string\"," +
                            "\"array\",\"object\"]}");
    ASSERT_FALSE(grammar.ok());
    EXPECT_EQ(grammar.error().where, std::string("#/") + low);
  }
}

TEST(JsonSchema, HundredsOfConstantsExcludeEachOther) {
  constexpr int kCount = 700;
  std::string constants;
  std::string objects;
  for (int i = 0; i < kCount; ++i) {
    const std::string number = std::to_string(i);
    constants += std::string(i == 0 ? "" : ",") + R"({"const":"c)" + number + R"(","title":"t"})";
    objects += std::string(i == 0 ? "" : ",") +
               R"({"type":"object","properties":{"kind":{"const":"c)" + number +
               R"("}},"required":["kind"],"additionalProperties":false})";
  }
  for (const char* keyword : {"oneOf", "anyOf"}) {
    const auto start = std::string("{\"") + keyword + "\":[";
    check({
        {start + constants + "]}", {"\"c0\"", "\"c699\""}, {"\"c700\"", "1"}},
        {start + constants + R"(,{"type":"null"}],"description":"x"})", {"\"c5\"", "null"}, {"1"}},
        {start + objects + "]}", {R"({"kind":"c699"})"}, {R"({"kind":"c700"})", "{}"}},
    });
  }
  check({
      {R"({"type":"string","oneOf":[{"const":"a"},{"const":1},{"enum":["b","c"]}],"maxLength":1})",
       {"\"a\"", "\"c\""},
       {"1"}},
      {R"({"oneOf":[{"type":"integer","enum":[1,"a"]},{"const":"a"}]})", {"1", "\"a\""}, {"2"}},
  });
  for (const char* overlap :
       {R"({"oneOf":[{"const":"a"},{"type":"null"},{"enum":["b","a"]}]})",
        R"({"oneOf":[{"const":1},{"const":1.0}]})",
        R"({"oneOf":[{"const":"a"},{"const":"b"},{"type":"string"}]})",
        R"({"oneOf":[{"type":"object","properties":{"k":{"const":1}},"required":["k"]},
                     {"type":"object","properties":{"k":{"const":1}},"required":["k"]}]})"}) {
    const auto grammar = json_schema_grammar(overlap);
    ASSERT_FALSE(grammar.ok()) << overlap;
    EXPECT_EQ(grammar.error().where, "#/oneOf");
    EXPECT_EQ(grammar.error().code, ErrorCode::kUnsupported);
  }
}

TEST(JsonSchema, Recursion) {
  check({
      {R"({"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
           "required":["v","next"]})",
       {R"({"v":1,"next":{"v":2,"next":null}})"},
       {R"({"v":1})", R"({"v":1,"next":{"v":2}})"}},
      {R"({"$defs":{"tree":{"type":"array","items":{"$ref":"#/$defs/tree"}}},"$ref":"#/$defs/tree"})",
       {"[]", "[[],[[]]]"},
       {"[1]"}},
      {R"({"$defs":{"e":{"anyOf":[{"type":"integer"},{"type":"object","properties":{"l":{"$ref":"#/$defs/e"},
           "op":{"enum":["+","-"]},"r":{"$ref":"#/$defs/e"}},"required":["l","op","r"]}]}},"$ref":"#/$defs/e"})",
       {R"({"l":1,"op":"+","r":{"l":2,"op":"-","r":3}})"},
       {R"({"l":1,"op":"*","r":2})"}},
  });
}

TEST(JsonSchema, ErrorsNameThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"properties":{"age":{"type":"integer","minimum":10,"maximum":5}}})",
       "#/properties/age/minimum"},
      {R"({"properties":{"s":{"minLength":3,"maxLength":2}}})", "#/properties/s/minLength"},
      {R"({"items":{"minItems":3,"maxItems":2}})", "#/items/minItems"},
      {R"({"properties":{"a":{"not":{}}}})", "#/properties/a/not"},
      {R"({"if":{}})", "#/if"},
      {R"({"type":"array","uniqueItems":true})", "#/uniqueItems"},
      {R"({"type":"strin"})", "#/type"},
      {R"({"anyOf":[{"type":"string"},{"pattern":"("}]})", "#/anyOf/1/pattern"},
      {R"({"properties":{"a/b":{"format":"nope"}}})", "#/properties/a~1b/format"},
      {R"({"$ref":"#/$defs/x"})", "#/$ref"},
      {R"({"$ref":"http://example.org/x"})", "#/$ref"},
      {R"({"oneOf":[{"type":"integer"},{"type":"number"}]})", "#/oneOf"},
      {R"({"multipleOf":0.1})", "#/multipleOf"},
      {R"({"type":"object","required":["a"],"additionalProperties":false})", "#/required"},
      {R"({"type":"object","additionalProperties":{},"minProperties":5})", "#/minProperties"},
      {R"({"type":"integer","enum":["a"]})", "#/enum"},
      {R"({"type":"string","minLength":-1})", "#/minLength"},
      {R"([1])", "#"},
      {R"({"type":)", "#"},
      {R"({"patternProperties":{"(":{}}})", "#/patternProperties/("},
      {R"({"type":"object","allOf":[{"patternProperties":{"a":{}}},{"properties":{"b":{}}}]})",
       "#/allOf/patternProperties"},
  };
  for (const auto& [text, where] : cases) {
    const auto grammar = json_schema_grammar(text);
    ASSERT_FALSE(grammar.ok()) << text;
    EXPECT_EQ(grammar.error().where, where) << text << ": " << grammar.error().message;
    EXPECT_NE(grammar.error().message.find("expected "), std::string::npos)
        << grammar.error().message;
  }
}

TEST(JsonSchema, ImpossibleSchemasNameARule) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]})", "#"},
      {R"({"properties":{"x":{"type":"string","pattern":"^a$","minLength":2}},"required":["x"]})",
       "#/properties/x"},
      {R"(false)", "#"},
  };
  for (const auto& [text, where] : cases) {
    const auto grammar = json_schema_grammar(text);
    ASSERT_TRUE(grammar.ok()) << text << grammar.error().message;
    const auto result = CompiledGrammar::build(*grammar, byte_vocabulary());
    ASSERT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.error().where, where) << text;
  }
}

TEST(JsonSchema, LargeAndDeepSchemasAreErrorsOrWork) {
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += R"({"items":)";
  EXPECT_FALSE(json_schema_grammar(deep).ok());
  EXPECT_FALSE(json_schema_grammar(std::string(1 << 20, ' ')).ok());
  std::string chain = R"({"$ref":"#/$defs/d0","$defs":{)";
  for (int i = 0; i < 3000; ++i) {
    chain += "\"d" + std::to_string(i) + R"(":{"items":{"$ref":"#/$defs/d)" +
             std::to_string(i + 1) + "\"}},";
  }
  chain += R"("d3000":{"type":"null"}}})";
  EXPECT_TRUE(json_schema_grammar(chain).ok());
  std::string loop =
      R"({"$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}},"$ref":"#/$defs/a"})";
  EXPECT_FALSE(json_schema_grammar(loop).ok());
  std::string product = R"({"allOf":[)";
  for (int i = 0; i < 20; ++i) {
    product += std::string(i == 0 ? "" : ",") + R"({"anyOf":[{"properties":{"a)" +
               std::to_string(i) + R"(":{}}},{"properties":{"b)" + std::to_string(i) +
               R"(":{}}}]})";
  }
  const auto result = json_schema_grammar(product + "]}");
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().code, ErrorCode::kResourceExhausted);
}

}  // namespace
}  // namespace fathom::grammar
