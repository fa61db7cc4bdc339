#include <gtest/gtest.h>

#include <random>
#include <thread>

#include "grammar/rules/limits.h"
#include "grammar/sources/json_value.h"
#include "grammar/sources/regex.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

std::shared_ptr<const CompiledGrammar> json_grammar() {
  Grammar grammar;
  set_root(grammar, JsonPieces(grammar).value());
  return compiled(grammar);
}

TEST(Matcher, RollsBackToAnyToken) {
  const auto grammar = json_grammar();
  const std::string text = R"({"a": [1, {"b": "c\u00e9"}], "d": -1.5e+7})";
  std::mt19937 random(5);
  Matcher matcher(grammar);
  size_t at = 0;
  for (int round = 0; round < 300; ++round) {
    if (at > 0 && random() % 3 == 0) {
      const size_t back = 1 + random() % at;
      matcher.rollback(back);
      at -= back;
    }
    for (size_t i = random() % 6; i > 0 && at < text.size(); --i) {
      ASSERT_TRUE(matcher.accept(static_cast<uint8_t>(text[at++])));
    }
    ASSERT_EQ(matcher.token_count(), at);
    ASSERT_EQ(matcher.can_end(), at == text.size());
  }
}

TEST(Matcher, RefusesUnknownTokensAndStaysAsItWas) {
  Matcher matcher(json_grammar());
  for (const TokenId token : {-1, 257, 100000, static_cast<int>('x')}) {
    EXPECT_FALSE(matcher.accept(token));
  }
  EXPECT_EQ(matcher.token_count(), 0U);
  EXPECT_TRUE(matcher.accept('['));
}

TEST(Matcher, SaysWhetherAnythingMayFollow) {
  Grammar grammar;
  set_root(grammar, *whole_regex(grammar, "a?b|b+c"));
  Matcher matcher(compiled(grammar));
  EXPECT_TRUE(matcher.can_continue());
  EXPECT_TRUE(matcher.accept('b'));
  EXPECT_TRUE(matcher.can_end() && matcher.can_continue());
  EXPECT_TRUE(matcher.accept('c'));
  EXPECT_TRUE(matcher.can_end() && !matcher.can_continue());
  matcher.rollback(2);
  EXPECT_TRUE(matcher.accept_text("ab"));
  EXPECT_TRUE(matcher.can_end() && !matcher.can_continue());
  EXPECT_FALSE(matcher.accept_text("b"));
  EXPECT_EQ(matcher.token_count(), 1U);
}

TEST(Matcher, PreparesMasks) {
  Matcher matcher(json_grammar());
  EXPECT_FALSE(matcher.mask_prepared());
  matcher.prepare_mask();
  EXPECT_TRUE(matcher.mask_prepared());
  EXPECT_TRUE(matcher.accept('['));
  EXPECT_FALSE(matcher.mask_prepared());
}

TEST(Matcher, SaysWhatMustFollow) {
  Grammar grammar;
  set_root(grammar, *whole_regex(grammar, "(\"name\": |\"nate\": )[0-9]x"));
  Matcher matcher(compiled(grammar));
  EXPECT_EQ(matcher.forced_text(), "\"na");
  for (const char c : std::string("\"nam")) ASSERT_TRUE(matcher.accept(c));
  EXPECT_EQ(matcher.forced_text(), "e\": ");
  EXPECT_EQ(matcher.forced_text(2), "e\"");
  for (const char c : std::string("e\": 7")) ASSERT_TRUE(matcher.accept(c));
  EXPECT_EQ(matcher.forced_text(), "x");
}

// A text of ever new states: the table is left for another, and nothing is noticed.
TEST(Matcher, MovesToAnotherTableWhenOneIsFull) {
  Grammar grammar;
  set_root(grammar, *whole_regex(grammar, "[a-z]{200000}"));
  const auto regex = compiled(grammar);
  Matcher matcher(regex);
  std::vector<uint32_t> mask(regex->vocabulary().mask_words());
  size_t most = 0;
  for (int i = 0; i < 200000; ++i) {
    ASSERT_TRUE(matcher.accept('a' + i % 26));
    if (i % 64 == 0) {
      matcher.fill_mask(mask);
      ASSERT_NE(mask['q' / 32] & 1U << 'q' % 32, 0U);
      most = std::max(most, regex->bytes());
    }
  }
  EXPECT_TRUE(matcher.can_end());
  EXPECT_LT(most, 4 * kStateTableBytes);
  matcher.rollback(200000);
  EXPECT_TRUE(matcher.accept('z'));
  EXPECT_FALSE(matcher.can_end());
}

TEST(Matcher, ThreadsShareAGrammar) {
  const auto grammar = json_grammar();
  const std::string text = R"([{"k": "v"}, [true, null, 12.5], "\ud83d\ude00"])";
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<uint32_t> mask(grammar->vocabulary().mask_words());
      for (int round = 0; round < 10; ++round) {
        Matcher matcher(grammar);
        for (const char c : text) {
          const auto byte = static_cast<uint8_t>(c);
          matcher.fill_mask(mask);
          EXPECT_NE(mask[byte / 32] & 1U << byte % 32, 0U);
          EXPECT_TRUE(matcher.accept(byte));
        }
        EXPECT_TRUE(matcher.can_end());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

}  // namespace
}  // namespace fathom::grammar
