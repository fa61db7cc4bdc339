// Masks against trying every token by itself, over vocabularies of random pieces.
#include <gtest/gtest.h>

#include <random>

#include "grammar/compiler.h"
#include "grammar/sources/json_value.h"
#include "grammar/sources/regex.h"
#include "grammar/testing/matching.h"

namespace fathom::grammar {
namespace {

std::vector<std::string> random_tokens(std::mt19937& random, size_t count) {
  const std::vector<std::string> pieces = {
      "\"",   "\\",   "{",    "}",          "[",    "]",   ":",
      ",",    " ",    "\n",   "0",          "12",   "-",   ".",
      "e",    "a",    "true", "nu",         "ll",   "\t",  "\xC3",
      "\xA9", "\xE4", "\xB8", "\xC3\xA9",   "u0",   "\\n", "\xF0\x9F\x98\x80",
      "ab",   "word", "    ", "plain text", "\x01", "\xFF"};
  std::vector<std::string> tokens;
  for (size_t i = 0; i < count; ++i) {
    std::string token;
    for (size_t part = 0; part <= random() % 4; ++part) token += pieces[random() % pieces.size()];
    tokens.push_back(token);
  }
  tokens.emplace_back();                    // never allowed
  tokens.push_back(tokens.front());         // twice the same bytes
  tokens.push_back(std::string(300, 'a'));  // longer than runs are counted
  tokens.push_back(std::string(40, 'b') + "\"");
  return tokens;
}

// Walks at random and compares the mask of each place with single tries.
void compare(const std::shared_ptr<const CompiledGrammar>& grammar, std::mt19937& random) {
  const size_t size = grammar->vocabulary().size();
  std::vector<uint32_t> mask(grammar->vocabulary().mask_words() + 1, 0xFFFFFFFF);
  Matcher matcher(grammar);
  for (int step = 0; step < 40 && !matcher.finished(); ++step) {
    matcher.fill_mask(mask);
    std::vector<TokenId> allowed;
    for (size_t id = 0; id < mask.size() * 32; ++id) {
      const bool bit = mask[id / 32] >> id % 32 & 1;
      bool taken = false;
      if (id < size) {
        Matcher probe(grammar);
        taken = matcher.accept(static_cast<TokenId>(id));
        if (taken) matcher.rollback(1);
      }
      ASSERT_EQ(bit, taken) << id;
      if (taken) allowed.push_back(static_cast<TokenId>(id));
    }
    ASSERT_FALSE(allowed.empty());
    ASSERT_TRUE(matcher.accept(allowed[random() % allowed.size()]));
  }
}

TEST(Masks, AreWhatTryingEveryTokenFinds) {
  std::mt19937 random(11);
  const auto vocabulary = byte_vocabulary(random_tokens(random, 600));
  Grammar json;
  set_root(json, JsonPieces(json).value());
  const auto value = compiled(json, vocabulary);
  for (int round = 0; round < 12; ++round) compare(value, random);
  for (const char* pattern :
       {"[a-z ]{3,40}", "(ab|word|\\s)*\"", ".{0,5}", "(.|\\n){10,500}", "[^\"]{1,300}x",
        "(a|aa|aaa)*b", "\xC3\xA9+[\\u0080-\\uffff]*", "[^a-zA-Z]+\\W.", "([^a]|ab)*b"}) {
    Grammar grammar;
    set_root(grammar, *whole_regex(grammar, pattern));
    const auto regex = compiled(grammar, vocabulary);
    for (int round = 0; round < 4; ++round) compare(regex, random);
  }
}

// Where no more rules may be opened, what would open one is not allowed.
TEST(Masks, AreRightAtTheLimitOfNesting) {
  Grammar grammar;
  const RuleId inner = grammar.add_rule("inner");
  const RuleId outer = grammar.add_rule("outer");
  const Expr letters = grammar.repeat(grammar.chars({{'a', 'z'}}), 0, 3);
  grammar.define(inner, grammar.sequence({grammar.call(outer), grammar.literal("]")}));
  grammar.define(outer,
                 grammar.sequence({grammar.chars(characters_of(TextClass::kPlain)), letters,
                                   grammar.optional(grammar.call(inner)), grammar.literal("\"")}));
  grammar.set_root(outer);
  std::mt19937 random(2);
  const auto vocabulary =
      byte_vocabulary({"abcd", "abcdabcdabcdabcd", "zzzzzzzz", "a\"]", "\"]\"]"});
  const auto nested = compiled(grammar, vocabulary);
  Matcher deep(nested);
  while (deep.accept('-')) {
  }
  EXPECT_GT(deep.token_count(), 200U);
  std::vector<uint32_t> mask(vocabulary->mask_words());
  for (int back = 0; back < 60; ++back) {
    deep.fill_mask(mask);
    for (TokenId id = 0; static_cast<size_t>(id) < vocabulary->size(); ++id) {
      const bool taken = deep.accept(id);
      if (taken) deep.rollback(1);
      ASSERT_EQ(taken, (mask[id / 32] >> id % 32 & 1) != 0) << id << " " << back;
    }
    deep.rollback(1);
  }
}

// Text that opens no rule is as free at the limit as anywhere.
TEST(Masks, AreRightWithinTextAtTheLimitOfNesting) {
  Grammar grammar;
  const RuleId value = grammar.add_rule("value");
  const Expr text = grammar.repeat(grammar.chars(characters_of(TextClass::kPlain)), 0);
  const Expr quote = grammar.literal("\"");
  grammar.define(
      value,
      grammar.choice({grammar.sequence({quote, text, quote}),
                      grammar.sequence({grammar.literal("["), grammar.optional(grammar.call(value)),
                                        grammar.literal("]")})}));
  grammar.set_root(value);
  std::mt19937 random(5);
  const auto vocabulary = byte_vocabulary(random_tokens(random, 300));
  const auto nested = compiled(grammar, vocabulary);
  Matcher deep(nested);
  while (deep.accept('[')) {
  }
  EXPECT_GT(deep.token_count(), 400U);
  deep.rollback(1);
  for (int round = 0; round < 3; ++round, deep.rollback(2)) {
    ASSERT_TRUE(deep.accept('"'));
    std::vector<uint32_t> mask(vocabulary->mask_words());
    deep.fill_mask(mask);
    for (TokenId id = 0; static_cast<size_t>(id) < vocabulary->size(); ++id) {
      const bool taken = deep.accept(id);
      if (taken) deep.rollback(1);
      ASSERT_EQ(taken, (mask[id / 32] >> id % 32 & 1) != 0) << id << " " << round;
    }
  }
}

// What closes remembers each letter that opened, so there is no end of places to walk.
TEST(Masks, KeepFrequentTokensWhereAllWouldTakeTooLong) {
  std::string text = "root ::= [a-z]";
  for (char letter = 'a'; letter <= 'z'; ++letter) {
    text += std::string(" | \"") + letter + "\" [0-9] root? \"" +
            static_cast<char>(letter - 'a' + 'A') + "\"";
  }
  std::mt19937 random(3);
  std::vector<std::string> tokens;
  for (int i = 0; i < 60000; ++i) {
    std::string& token = tokens.emplace_back();
    for (size_t pairs = 1 + random() % 3; pairs > 0; --pairs) {
      token += static_cast<char>('a' + random() % 26);
      token += static_cast<char>('0' + random() % 10);
    }
  }
  const auto vocabulary = byte_vocabulary(tokens);
  const auto grammar = compiled(*grammar_from({SourceKind::kEbnf, text}), vocabulary);
  Matcher matcher(grammar);
  for (const char byte : {'a', '1', 'b', '2'}) ASSERT_TRUE(matcher.accept(byte));
  std::vector<uint32_t> mask(vocabulary->mask_words());
  const size_t bytes_before = grammar->bytes();
  matcher.fill_mask(mask);
  const size_t mask_bytes = 4 * vocabulary->mask_words();
  EXPECT_LT(grammar->bytes() - bytes_before, 16 * mask_bytes) << "places only tried are kept";
  size_t missing = 0;
  for (TokenId id = 0; static_cast<size_t>(id) < vocabulary->size(); ++id) {
    const bool taken = matcher.accept(id);
    if (taken) matcher.rollback(1);
    const bool allowed = mask[id / 32] >> id % 32 & 1;
    ASSERT_TRUE(taken || !allowed) << id;
    ASSERT_TRUE(allowed || !taken || id >= 256) << id;
    missing += taken && !allowed ? 1 : 0;
  }
  EXPECT_GT(missing, 0U) << "the mask was found whole: this test shows nothing";
}

TEST(Masks, EndOnlyWhereTheTextIsComplete) {
  Grammar grammar;
  set_root(grammar, *whole_regex(grammar, "ab?"));
  const auto regex = compiled(grammar);
  const TokenId end = 256;
  Matcher matcher(regex);
  EXPECT_FALSE(matcher.accept(end));
  EXPECT_TRUE(matcher.accept('a'));
  EXPECT_TRUE(matcher.can_end());
  EXPECT_TRUE(matcher.accept(end));
  EXPECT_TRUE(matcher.finished());
  EXPECT_FALSE(matcher.accept('b'));
  std::vector<uint32_t> mask(regex->vocabulary().mask_words(), 1);
  matcher.fill_mask(mask);
  EXPECT_EQ(mask, std::vector<uint32_t>(mask.size(), 0));
  matcher.rollback(1);
  EXPECT_TRUE(matcher.accept('b'));
}

}  // namespace
}  // namespace fathom::grammar
