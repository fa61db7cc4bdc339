#include <gtest/gtest.h>

#include <algorithm>

#include "grammar/schema/json_schema.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

struct Fallback {
  const char* schema;
  std::vector<const char*> noted;  // places, in any order
  std::vector<const char*> allowed;
  std::vector<const char*> refused;
};

TEST(SchemaFallback, KeepsWhatCanBeKept) {
  const Fallback cases[] = {
      {R"({"type":"integer","minimum":3})", {}, {"3"}, {"2"}},
      {R"({"type":"integer","minimum":3,"not":{"const":4}})", {"#/not"}, {"4"}, {"2"}},
      {R"({"type":"object","properties":{"not":{"type":"null","if":{}}},"required":["not"]})",
       {"#/properties/not/if"},
       {R"({"not":null})"},
       {"{}", R"({"not":1})"}},
      {R"({"type":"array","items":{"type":"string","format":"nope"},"uniqueItems":true})",
       {"#/uniqueItems", "#/items/format"},
       {R"(["a","a"])"},
       {"[1]"}},
      {R"({"type":"string","pattern":"^(?!x)[a-z]+$","maxLength":2})",
       {"#/pattern"},
       {"\"xy\""},
       {"\"xyz\"", "1"}},
      {R"({"oneOf":[{"type":"integer"},{"type":"number","minimum":0}]})",
       {"#/oneOf"},
       {"1", "0.5"},
       {"null"}},
      {R"({"type":"number","multipleOf":0.01})", {"#/multipleOf"}, {"0.5"}, {"\"a\""}},
      {R"({"type":"object","properties":{"a":{"$ref":"http://example.org/x"}}})",
       {"#/properties/a/$ref"},
       {R"({"a":[1]})"},
       {"1"}},
      {R"({"$defs":{"d":{"type":"integer","contains":1}},"$ref":"#/$defs/d"})",
       {"#/$defs/d/contains"},
       {"1"},
       {"null"}},
      {R"({"type":"object","allOf":[{"patternProperties":{"a":{}}},{"properties":{"b":{}}}]})",
       {"#/allOf/patternProperties"},
       {R"({"c":1})"},
       {"1"}},
  };
  for (const auto& [schema, noted, allowed, refused] : cases) {
    SCOPED_TRACE(schema);
    auto rest = enforceable_schema(Grammar(), schema);
    ASSERT_TRUE(rest.ok()) << rest.error().message;
    EXPECT_EQ(rest->notes.size(), noted.size());
    for (const char* place : noted) {
      const auto names = [&](const std::string& note) {
        return note.starts_with(std::string(place) + ": ");
      };
      EXPECT_TRUE(std::any_of(rest->notes.begin(), rest->notes.end(), names)) << place;
    }
    set_root(rest->grammar, rest->value);
    const auto grammar = compiled(rest->grammar);
    for (const char* text : allowed) EXPECT_TRUE(matches(grammar, text)) << text;
    for (const char* text : refused) EXPECT_FALSE(matches(grammar, text)) << text;
  }
}

TEST(SchemaFallback, WhatIsNoSchemaStaysAnError) {
  for (const char* schema : {"[1]", "{", R"({"type":"strin"})", R"({"minLength":-1})",
                             R"({"pattern":"("})", R"({"$ref":"#/nowhere"})"}) {
    const auto rest = enforceable_schema(Grammar(), schema);
    ASSERT_FALSE(rest.ok()) << schema;
    EXPECT_EQ(rest.error().code, ErrorCode::kInvalidArgument);
  }
}

TEST(SchemaFallback, NotesAndRoundsAreBounded) {
  std::string unknown = "{";
  std::string formats = R"({"type":"object","properties":{)";
  for (int i = 0; i < 1000; ++i) {
    unknown += (i == 0 ? "\"k" : ",\"k") + std::to_string(i) + "\":1";
    formats += (i == 0 ? "\"p" : ",\"p") + std::to_string(i) + R"(":{"format":"f)" +
               std::to_string(i) + "\"}";
  }
  for (const std::string& schema : {unknown + "}", formats + "}}"}) {
    const auto rest = enforceable_schema(Grammar(), schema);
    ASSERT_TRUE(rest.ok()) << rest.error().message;
    EXPECT_EQ(rest->notes.size(), 17u);
  }
}

// A path through a reference that is no JSON pointer.
TEST(SchemaFallback, OddReferencesAreNoWayOut) {
  const auto rest = enforceable_schema(
      Grammar(), R"({"type":"object","$defs":{"a~b":{"type":"array","uniqueItems":true}},)"
                 R"("properties":{"x":{"$ref":"#/$defs/a~b"}}})");
  ASSERT_TRUE(rest.ok()) << rest.error().message;
  EXPECT_EQ(rest->notes.size(), 1u);
}

}  // namespace
}  // namespace fathom::grammar
