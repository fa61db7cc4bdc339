#include "tokenizer/byte_alphabet.h"

#include <gtest/gtest.h>

#include <set>

namespace fathom::tokenizer {
namespace {

TEST(ByteAlphabet, WritesBytesAsReleasedVocabulariesDo) {
  EXPECT_EQ(byte_alphabet()['a'], "a");
  EXPECT_EQ(byte_alphabet()[' '], "Ġ");
  EXPECT_EQ(byte_alphabet()['\n'], "Ċ");
  EXPECT_EQ(byte_alphabet()[0x00], "Ā");
  EXPECT_EQ(byte_alphabet()[0x7F], "ġ");
  EXPECT_EQ(byte_alphabet()[0xAD], "Ń");
  EXPECT_EQ(byte_alphabet()[0xFF], "ÿ");
}

TEST(ByteAlphabet, EveryByteHasACharacterOfItsOwnAndComesBack) {
  std::set<std::string> seen;
  for (int byte = 0; byte < 256; ++byte) {
    seen.insert(byte_alphabet()[byte]);
    EXPECT_EQ(bytes_from_alphabet(byte_alphabet()[byte]), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(seen.size(), 256u);
}

TEST(ByteAlphabet, OtherCharactersStandForNoBytes) {
  EXPECT_EQ(bytes_from_alphabet("ä½łĠa"), "你 a");
  for (const char* other : {" ", "\n", "｜", "\u00AD", "\u0144", "😀"}) {
    EXPECT_FALSE(bytes_from_alphabet(std::string("a") + other)) << other;
  }
}

}  // namespace
}  // namespace fathom::tokenizer
