#include "grammar/automaton.h"

#include <gtest/gtest.h>

#include "grammar/rules/limits.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

// S = "a" S "b" | "": not regular.
TEST(Automaton, CountsWithItsStack) {
  Grammar grammar;
  const RuleId rule = grammar.add_rule("s");
  grammar.define(rule, grammar.optional(grammar.sequence(
                           {grammar.literal("a"), grammar.call(rule), grammar.literal("b")})));
  grammar.set_root(rule);
  const auto s = compiled(grammar);
  EXPECT_TRUE(matches(s, ""));
  EXPECT_TRUE(matches(s, "aaabbb"));
  EXPECT_EQ(fit(s, "aaabb"), Fit::kPrefix);
  EXPECT_EQ(fit(s, "aabbb"), Fit::kNo);
}

// Palindromes: no deterministic pushdown automaton has them.
TEST(Automaton, FollowsAllWaysAtOnce) {
  Grammar grammar;
  const RuleId rule = grammar.add_rule("p");
  std::vector<Expr> options = {grammar.empty()};
  for (const char* letter : {"a", "b"}) {
    options.push_back(grammar.literal(letter));
    options.push_back(
        grammar.sequence({grammar.literal(letter), grammar.call(rule), grammar.literal(letter)}));
  }
  grammar.define(rule, grammar.choice(options));
  grammar.set_root(rule);
  const auto p = compiled(grammar);
  EXPECT_TRUE(matches(p, "abbabba"));
  EXPECT_TRUE(matches(p, "abba"));
  EXPECT_EQ(fit(p, "abb"), Fit::kPrefix);
}

TEST(Automaton, NullableRulesMayBeSkippedAnywhere) {
  Grammar grammar;
  const RuleId maybe = grammar.add_rule("maybe");
  const RuleId twice = grammar.add_rule("twice");
  const RuleId root = grammar.add_rule("root");
  grammar.define(maybe, grammar.optional(grammar.literal("x")));
  grammar.define(twice, grammar.sequence({grammar.call(maybe), grammar.call(maybe)}));
  grammar.define(root,
                 grammar.sequence({grammar.call(twice), grammar.literal("-"),
                                   grammar.repeat(grammar.call(twice), 0), grammar.call(maybe)}));
  grammar.set_root(root);
  const auto g = compiled(grammar);
  for (const char* text : {"-", "x-", "xx-", "-x", "xx-xxxxx"})
    EXPECT_TRUE(matches(g, text)) << text;
  EXPECT_FALSE(matches(g, "xxx-"));
}

TEST(Automaton, RightRecursionDoesNotDeepenTheStack) {
  Grammar grammar;
  const RuleId list = grammar.add_rule("list");
  grammar.define(list,
                 grammar.choice({grammar.literal("."),
                                 grammar.sequence({grammar.literal("a"), grammar.call(list)})}));
  grammar.set_root(list);
  EXPECT_TRUE(matches(compiled(grammar), std::string(10 * kMaxOpenRules, 'a') + "."));
}

TEST(Automaton, NestingIsBoundedAndNeverEndsInADeadEnd) {
  Grammar grammar;
  const RuleId rule = grammar.add_rule("nested");
  const RuleId inner = grammar.add_rule("inner");
  grammar.define(inner, grammar.literal("()"));
  grammar.define(rule, grammar.choice({grammar.sequence({grammar.literal("["), grammar.call(rule),
                                                         grammar.literal("]")}),
                                       grammar.call(inner)}));
  grammar.set_root(rule);
  const auto g = compiled(grammar);
  Matcher matcher(g);
  size_t depth = 0;
  while (matcher.accept('[')) ++depth;
  EXPECT_GT(depth, 400U);
  EXPECT_LE(depth, kMaxOpenRules);
  EXPECT_TRUE(matcher.accept('('));
  EXPECT_TRUE(matcher.accept(')'));
  for (; depth > 0; --depth) EXPECT_TRUE(matcher.accept(']'));
  EXPECT_TRUE(matcher.can_end());
}

TEST(Automaton, ProductsAndDifferences) {
  Grammar grammar;
  const CharSet letters{{'a', 'z'}};
  const Expr word = grammar.repeat(grammar.chars(letters), 2, 4);
  const Expr no_b = grammar.repeat(grammar.chars(letters.minus({{'b', 'b'}})), 0);
  const Expr not_names = grammar.choice({grammar.literal("acc"), grammar.literal("no")});
  set_root(grammar, grammar.difference(grammar.both(word, no_b), not_names));
  const auto g = compiled(grammar);
  for (const char* text : {"aa", "acca", "nos", "ac"}) EXPECT_TRUE(matches(g, text)) << text;
  for (const char* text : {"a", "ab", "acc", "no", "aaaaa"}) EXPECT_FALSE(matches(g, text)) << text;
}

TEST(Automaton, MultiplesOfANumber) {
  Grammar grammar;
  set_root(grammar, grammar.multiple(7));
  const auto g = compiled(grammar);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(matches(g, std::to_string(i)), i % 7 == 0) << i;
}

TEST(Automaton, MembersOfAList) {
  Grammar grammar;
  MemberList list;
  list.members = {
      {grammar.literal("a"), false}, {grammar.literal("b"), true}, {grammar.literal("c"), false}};
  list.has_repeated = true;
  list.repeated = grammar.literal("x");
  list.separator = grammar.literal(",");
  list.least = 2;
  list.most = 4;
  set_root(grammar, grammar.members(list));
  const auto g = compiled(grammar);
  for (const char* text : {"a,b", "b,c", "a,b,c,x", "b,x", "b,x,x,x", "a,b,c"}) {
    EXPECT_TRUE(matches(g, text)) << text;
  }
  for (const char* text : {"b", "a,c", "", ",b", "b,", "a,b,c,x,x", "b,a", "x,b"}) {
    EXPECT_FALSE(matches(g, text)) << text;
  }
}

TEST(Automaton, RefusesWhatCannotEndAndLeftRecursion) {
  Grammar endless;
  const RuleId rule = endless.add_rule("endless");
  endless.define(rule, endless.sequence({endless.literal("a"), endless.call(rule)}));
  endless.set_root(rule);
  const auto never = Automaton::build(endless);
  ASSERT_FALSE(never.ok());
  EXPECT_EQ(never.error().where, "endless");

  Grammar left;
  const RuleId a = left.add_rule("a");
  const RuleId b = left.add_rule("b");
  left.define(a, left.choice({left.call(b), left.literal("x")}));
  left.define(b, left.sequence({left.optional(left.literal("y")), left.call(a)}));
  left.set_root(a);
  const auto recursive = Automaton::build(left);
  ASSERT_FALSE(recursive.ok());
  EXPECT_NE(recursive.error().message.find("left recursion"), std::string::npos);

  // What cannot end is left out where there is something else.
  Grammar either;
  const RuleId dead = either.add_rule("dead");
  either.define(dead, either.sequence({either.literal("d"), either.call(dead)}));
  set_root(either, either.choice({either.call(dead), either.literal("ok")}));
  EXPECT_EQ(fit(compiled(either), "d"), Fit::kNo);
  EXPECT_TRUE(matches(compiled(either), "ok"));
}

TEST(Automaton, TimeIsBoundedForDeepChainsOfRules) {
  Grammar grammar;
  std::vector<RuleId> rules;
  for (int i = 0; i < 20000; ++i) rules.push_back(grammar.add_rule(std::to_string(i)));
  for (size_t i = 0; i + 1 < rules.size(); ++i)
    grammar.define(rules[i], grammar.call(rules[i + 1]));
  grammar.define(rules.back(), grammar.literal("z"));
  grammar.set_root(rules[0]);
  const auto result = Automaton::build(grammar);
  ASSERT_FALSE(result.ok());  // more rules open at once than may be
}

}  // namespace
}  // namespace fathom::grammar
