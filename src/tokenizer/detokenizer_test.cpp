#include "tokenizer/detokenizer.h"

#include <gtest/gtest.h>

#include <random>

#include "base/utf8.h"
#include "tokenizer/testing/small_tokenizer.h"

namespace fathom::tokenizer {
namespace {

TEST(Detokenizer, HoldsACharacterBackUntilItIsWhole) {
  Detokenizer stream(small_tokenizer());
  EXPECT_EQ(stream.push(259), "hello");
  EXPECT_EQ(stream.push(0xF0), "");
  EXPECT_EQ(stream.push(0x9F), "");
  EXPECT_EQ(stream.push(0x98), "");
  EXPECT_EQ(stream.push(0x80), "😀");
  EXPECT_EQ(stream.push(266), "你");
  EXPECT_EQ(stream.flush(), "");
}

TEST(Detokenizer, EndsAHalfCharacterWithAReplacement) {
  Detokenizer stream(small_tokenizer());
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push('a'), "\uFFFDa");
  EXPECT_EQ(stream.push(0x80), "\uFFFD");
  EXPECT_EQ(stream.push(0xE4), "");
  EXPECT_EQ(stream.push(0xBD), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.push('b'), "b");
}

TEST(Detokenizer, SkipsSpecialTokensWhenAsked) {
  Detokenizer all(small_tokenizer());
  Detokenizer skipping(small_tokenizer(), true);
  EXPECT_EQ(all.push(kBos), kBosText);
  EXPECT_EQ(skipping.push(kBos), "");
  EXPECT_EQ(skipping.push(kUser), kUserText);
}

TEST(Detokenizer, UnknownIdsAreNoText) {
  Detokenizer stream(small_tokenizer());
  for (const TokenId id : {-1, 299, 303, 1 << 30}) EXPECT_EQ(stream.push(id), "");
}

TEST(Detokenizer, PushesTogetherEqualDecodeOfAll) {
  const Tokenizer tokenizer = small_tokenizer();
  std::mt19937 random(4);
  for (int round = 0; round < 2'000; ++round) {
    std::vector<TokenId> ids;
    for (size_t count = random() % 20; count > 0; --count) {
      // Half of them bytes that begin or continue longer characters.
      ids.push_back(static_cast<TokenId>(random() % 2 ? 0x80 + random() % 0x80 : random() % 310));
    }
    for (const bool skip_special : {false, true}) {
      Detokenizer stream(tokenizer, skip_special);
      std::string text;
      for (const TokenId id : ids) {
        const std::string part = stream.push(id);
        ASSERT_EQ(valid_utf8_prefix(part), part.size());
        text += part;
      }
      text += stream.flush();
      ASSERT_EQ(text, tokenizer.decode(ids, skip_special)) << testing::PrintToString(ids);
    }
  }
}

}  // namespace
}  // namespace fathom::tokenizer
