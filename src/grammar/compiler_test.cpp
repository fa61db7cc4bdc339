#include "grammar/compiler.h"

#include <gtest/gtest.h>

#include <thread>

#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

TEST(Compiler, CompilesEveryKindAndKeepsIt) {
  Compiler compiler(byte_vocabulary());
  const std::tuple<GrammarSource, const char*, const char*> cases[] = {
      {{SourceKind::kJsonObject}, R"({"a": 1})", "[]"},
      {{SourceKind::kJsonSchema, R"({"type":"null"})"}, "null", "1"},
      {{SourceKind::kRegex, "a+"}, "aa", "b"},
      {{SourceKind::kEbnf, "root ::= \"a+\""}, "a+", "aa"},
      {{SourceKind::kChoice, R"(["a+", "\u00e9"])"}, "é", "aa"},
  };
  for (const auto& [source, yes, no] : cases) {
    const auto first = compiler.compile(source);
    ASSERT_TRUE(first.ok()) << first.error().message;
    EXPECT_TRUE(matches(*first, yes));
    EXPECT_FALSE(matches(*first, no));
    EXPECT_EQ(*compiler.compile(source), *first);
  }
  EXPECT_EQ(compiler.cached(), 5U);
  EXPECT_FALSE(compiler.compile({SourceKind::kRegex, "("}).ok());
  for (const char* text : {"", "[]", "[1]", "{}"}) {
    EXPECT_FALSE(compiler.compile({SourceKind::kChoice, text}).ok()) << text;
  }
  EXPECT_EQ(compiler.cached(), 5U);
}

TEST(Compiler, PutsSourcesTogether) {
  Compiler compiler(byte_vocabulary());
  int made = 0;
  const auto make = [&made]() -> Result<Grammar> {
    ++made;
    Grammar grammar;
    FATHOM_ASSIGN(const Expr schema,
                  add_source(grammar, {SourceKind::kJsonSchema, R"({"enum":[1]})"}));
    FATHOM_ASSIGN(const Expr object, add_source(grammar, {SourceKind::kJsonObject}));
    FATHOM_ASSIGN(const Expr regex, add_source(grammar, {SourceKind::kRegex, "x*"}));
    FATHOM_ASSIGN(const Expr rules,
                  add_source(grammar, {SourceKind::kEbnf, "root ::= \"y\" more\nmore ::= \"z\"*"}));
    grammar.set_root("all", grammar.sequence({schema, object, regex, rules}));
    return grammar;
  };
  for (int i = 0; i < 2; ++i) {
    const auto grammar = compiler.compile("all of them", make);
    ASSERT_TRUE(grammar.ok());
    EXPECT_TRUE(matches(*grammar, "1{\"a\": []}xxyz"));
    EXPECT_EQ(fit(*grammar, "1{\"a\""), Fit::kPrefix);
    EXPECT_EQ(fit(*grammar, "2"), Fit::kNo);
  }
  EXPECT_EQ(made, 1);
}

TEST(Compiler, ForgetsWhatWasUsedLongestAgo) {
  const auto vocabulary = byte_vocabulary();
  const auto regex = [](int i) {
    return GrammarSource{SourceKind::kRegex, "x{" + std::to_string(i) + "}"};
  };
  const size_t bytes = (*Compiler(vocabulary).compile(regex(1)))->bytes();
  Compiler compiler(vocabulary, bytes * 7 / 2);
  const auto first = *compiler.compile(regex(1));
  ASSERT_TRUE(compiler.compile(regex(2)).ok());
  ASSERT_TRUE(compiler.compile(regex(3)).ok());
  EXPECT_EQ(*compiler.compile(regex(1)), first);
  ASSERT_TRUE(compiler.compile(regex(4)).ok());
  EXPECT_EQ(compiler.cached(), 3U);
  EXPECT_EQ(*compiler.compile(regex(1)), first);
}

TEST(Compiler, ThreadsMayCompileTheSame) {
  Compiler compiler(byte_vocabulary());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        EXPECT_TRUE(
            compiler.compile({SourceKind::kRegex, "[a-f]{" + std::to_string(i % 7) + "}"}).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(compiler.cached(), 7U);
}

}  // namespace
}  // namespace fathom::grammar
