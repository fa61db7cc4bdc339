#include "grammar/rules/rules_text.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "grammar/compiler.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

struct WrittenSource {
  GrammarSource source;
  std::vector<std::string> yes;
  std::vector<std::string> no;
};

// Every kind of expression is in one of them.
std::vector<WrittenSource> written_sources() {
  return {
      {{SourceKind::kJsonObject, ""}, {R"({"a": [1, null]})"}, {"[]", "{"}},
      {{SourceKind::kJsonSchema,
        R"({"type":"object","properties":{"n":{"type":"integer","multipleOf":7},
            "s":{"type":"string","minLength":1,"maxLength":3}},"required":["n"],
            "additionalProperties":{"type":"boolean"}})"},
       {R"({"n": 14, "s": "äß"})", R"({"n": 0, "x": true})"},
       {R"({"n": 15})", R"({"s": "a"})"}},
      {{SourceKind::kJsonSchema,
        R"({"$ref":"#/$defs/t","$defs":{"t":{"type":"array","items":{"$ref":"#/$defs/t"}}}})"},
       {"[[],[[]]]"},
       {"[1]"}},
      {{SourceKind::kRegex, "(a|[^b-y]){2,3}z?"}, {"aa", "aAzz"}, {"ab", "a"}},
      {{SourceKind::kEbnf, "root ::= item (\",\" item)*\nitem ::= \"x\" | \"(\" root \")\""},
       {"x,(x,x)"},
       {"x,"}},
      {{SourceKind::kChoice, R"(["one", "two"])"}, {"two"}, {"tw"}},
  };
}

Result<Grammar> reread(const std::string& bytes) {
  return read_rules(bytes, std::make_shared<WorkBudget>());
}

TEST(RulesText, KeepsTheLanguage) {
  for (const WrittenSource& one : written_sources()) {
    const auto grammar = grammar_from(one.source);
    ASSERT_TRUE(grammar.ok()) << one.source.text;
    const std::string bytes = write_rules(*grammar);
    const auto again = reread(bytes);
    ASSERT_TRUE(again.ok()) << one.source.text << ": " << again.error().message;
    EXPECT_EQ(write_rules(*again), bytes) << one.source.text;
    const auto compiled = CompiledGrammar::build(*again, byte_vocabulary());
    ASSERT_TRUE(compiled.ok()) << one.source.text;
    EXPECT_EQ((*compiled)->rules(), bytes);
    for (const std::string& text : one.yes) EXPECT_TRUE(matches(*compiled, text)) << text;
    for (const std::string& text : one.no) EXPECT_FALSE(matches(*compiled, text)) << text;
  }
}

TEST(RulesText, KeepsNotes) {
  Grammar grammar;
  grammar.add_note("schema: \"not\" is not kept to");
  grammar.set_root("text", grammar.literal("x"));
  const auto again = reread(write_rules(grammar));
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->notes(), grammar.notes());
}

TEST(RulesText, RefusesWhatIsCutOrHasMore) {
  for (const WrittenSource& one : written_sources()) {
    const std::string bytes = write_rules(*grammar_from(one.source));
    for (size_t size = 0; size < bytes.size(); size += 1 + size / 16) {
      EXPECT_FALSE(reread(bytes.substr(0, size)).ok()) << one.source.text << " " << size;
    }
    EXPECT_FALSE(reread(bytes + '\0').ok()) << one.source.text;
  }
}

TEST(RulesText, AnyBytesAreAGrammarOrAnError) {
  std::mt19937 random(7);
  for (const WrittenSource& one : written_sources()) {
    const std::string bytes = write_rules(*grammar_from(one.source));
    for (int round = 0; round < 100; ++round) {
      std::string damaged = bytes;
      for (unsigned changes = 1 + random() % 3; changes > 0; --changes) {
        damaged[random() % damaged.size()] = static_cast<char>(random());
      }
      const auto grammar = read_rules(damaged, std::make_shared<WorkBudget>(1 << 16));
      if (grammar) (void)CompiledGrammar::build(*grammar, byte_vocabulary());
    }
  }
}

TEST(RulesText, RefusesRulesWithinWhatTheyMayNotBeIn) {
  Grammar grammar;
  const RuleId rule = grammar.add_rule("r");
  grammar.define(rule, grammar.literal("x"));
  grammar.set_root("text",
                   grammar.both(grammar.optional(grammar.call(rule)), grammar.literal("x")));
  EXPECT_EQ(reread(write_rules(grammar)).error().code, ErrorCode::kDataCorrupt);
}

TEST(RulesText, RefusesAnotherVersion) {
  EXPECT_EQ(reread("\x02").error().code, ErrorCode::kUnsupported);
}

TEST(RulesText, KeepsToTheBudget) {
  const std::string bytes = write_rules(*grammar_from(written_sources()[1].source));
  const auto grammar = read_rules(bytes, std::make_shared<WorkBudget>(10));
  ASSERT_FALSE(grammar.ok());
  EXPECT_EQ(grammar.error().code, ErrorCode::kResourceExhausted);
}

TEST(RulesText, CompilesAsASource) {
  const std::string bytes = write_rules(*grammar_from(written_sources()[3].source));
  Compiler compiler(byte_vocabulary());
  const auto compiled = compiler.compile({SourceKind::kRules, bytes});
  ASSERT_TRUE(compiled.ok());
  EXPECT_TRUE(matches(*compiled, "aa"));
  EXPECT_FALSE(matches(*compiled, "b"));
}

}  // namespace
}  // namespace fathom::grammar
