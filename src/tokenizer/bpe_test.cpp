#include "tokenizer/bpe.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace fathom::tokenizer {
namespace {

std::array<TokenId, 256> identity_bytes() {
  std::array<TokenId, 256> tokens;
  for (int byte = 0; byte < 256; ++byte) tokens[byte] = byte;
  return tokens;
}

// Byte tokens 0..255, then one token a rule.
struct Model {
  std::vector<std::string> bytes;
  std::vector<MergeRule> rules;

  Model() {
    for (int byte = 0; byte < 256; ++byte) bytes.emplace_back(1, static_cast<char>(byte));
  }

  TokenId find(const std::string& text) const {
    for (TokenId id = 0; id < static_cast<TokenId>(bytes.size()); ++id) {
      if (bytes[id] == text) return id;
    }
    return kNoToken;
  }

  void add(TokenId left, TokenId right) {
    TokenId result = find(bytes[left] + bytes[right]);
    if (result == kNoToken) {
      result = static_cast<TokenId>(bytes.size());
      bytes.push_back(bytes[left] + bytes[right]);
    }
    rules.push_back({left, right, result});
  }

  Bpe build(bool ignore_merges = false) const {
    std::vector<Vocabulary::Entry> entries;
    for (TokenId id = 0; id < static_cast<TokenId>(bytes.size()); ++id) {
      entries.push_back({id, bytes[id], true});
    }
    const auto size = static_cast<TokenId>(bytes.size());
    return Bpe(Vocabulary(entries, size), identity_bytes(), rules, ignore_merges);
  }

  // The definition: look at all pairs, merge the leftmost of the lowest rank, begin again.
  std::vector<TokenId> merge_by_definition(const std::string& text) const {
    std::vector<TokenId> ids;
    for (const char c : text) ids.push_back(static_cast<unsigned char>(c));
    std::map<std::pair<TokenId, TokenId>, size_t> ranks;
    for (size_t rank = 0; rank < rules.size(); ++rank) {
      ranks[{rules[rank].left, rules[rank].right}] = rank;
    }
    while (true) {
      size_t best = rules.size();
      size_t place = 0;
      for (size_t i = 0; i + 1 < ids.size(); ++i) {
        const auto rule = ranks.find({ids[i], ids[i + 1]});
        if (rule != ranks.end() && rule->second < best) {
          best = rule->second;
          place = i;
        }
      }
      if (best == rules.size()) return ids;
      ids[place] = rules[best].result;
      ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(place) + 1);
    }
  }
};

std::vector<TokenId> encode(const Bpe& bpe, const std::string& text) {
  Bpe::Scratch scratch;
  std::vector<TokenId> out;
  bpe.encode(text, scratch, out);
  return out;
}

// Rules between any tokens so far, in any order: later rules may make tokens that earlier ones use.
Model random_model(std::mt19937& random) {
  Model model;
  const auto any = [&] {
    const auto merged = static_cast<TokenId>(model.bytes.size() - 256);
    const auto pick = static_cast<TokenId>(random() % (merged + 3));
    return pick < 3 ? 'a' + pick : 256 + pick - 3;
  };
  for (size_t rules = random() % 30; rules > 0; --rules) model.add(any(), any());
  std::shuffle(model.rules.begin(), model.rules.end(), random);
  return model;
}

// Lengths on both sides of where encode() changes from one algorithm to the other.
TEST(Bpe, MergesAsTheDefinitionSays) {
  std::mt19937 random(2);
  for (int round = 0; round < 300; ++round) {
    const Model model = random_model(random);
    const Bpe bpe = model.build();
    for (const size_t length : {1, 2, 3, 7, 20, 63, 64, 65, 66, 150}) {
      std::string text;
      while (text.size() < length) text += static_cast<char>('a' + random() % 3);
      ASSERT_EQ(encode(bpe, text), model.merge_by_definition(text)) << text;
    }
  }
}

TEST(Bpe, LaterRuleForTheSamePairCounts) {
  Model model;
  model.add('a', 'b');                     // 256
  model.add('b', 'c');                     // 257
  model.rules.push_back({'a', 'b', 256});  // now after b c
  EXPECT_EQ(encode(model.build(), "abc"), (std::vector<TokenId>{'a', 257}));
}

TEST(Bpe, IgnoreMergesTakesAWholePieceFromTheVocabulary) {
  Model model;
  model.bytes.push_back("abc");  // 256, in no rule
  EXPECT_EQ(encode(model.build(false), "abc"), (std::vector<TokenId>{'a', 'b', 'c'}));
  EXPECT_EQ(encode(model.build(true), "abc"), (std::vector<TokenId>{256}));
  EXPECT_EQ(encode(model.build(true), "abcd"), (std::vector<TokenId>{'a', 'b', 'c', 'd'}));
}

// Each byte brings one candidate pair and each merge at most two more, whatever the text is.
TEST(Bpe, WorkGrowsWithTheTextOnly) {
  Model model;
  model.add('a', 'a');
  for (TokenId id = 256; id < 270; ++id) model.add(id, id);
  const Bpe bpe = model.build();
  for (const size_t length : {1'000, 10'000, 1'000'000}) {
    Bpe::Scratch scratch;
    std::vector<TokenId> out;
    bpe.encode(std::string(length, 'a'), scratch, out);
    EXPECT_LE(scratch.candidates_seen, 3 * length);
    EXPECT_LE(out.size(), length / 16384 + 15);
  }
}

TEST(Vocabulary, FindsWhatItHolds) {
  std::vector<Vocabulary::Entry> entries;
  std::vector<std::string> texts;
  for (int i = 0; i < 5000; ++i) texts.push_back(std::string(i % 40, 'x') + std::to_string(i));
  for (int i = 0; i < 5000; ++i) entries.push_back({2 * i, texts[i], i % 10 != 0});
  const Vocabulary vocabulary(entries, 10'000);
  for (int i = 0; i < 5000; ++i) {
    EXPECT_EQ(vocabulary.bytes(2 * i), texts[i]);
    EXPECT_EQ(vocabulary.find(texts[i]), i % 10 == 0 ? kNoToken : 2 * i);
    EXPECT_EQ(vocabulary.find(texts[i] + "-"), kNoToken);
  }
  EXPECT_EQ(vocabulary.bytes(1), "");
  EXPECT_EQ(vocabulary.bytes(-1), "");
  EXPECT_EQ(vocabulary.bytes(10'000), "");
  EXPECT_EQ(Vocabulary().find("a"), kNoToken);
}

}  // namespace
}  // namespace fathom::tokenizer
