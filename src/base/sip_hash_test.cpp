#include "base/sip_hash.h"

#include <gtest/gtest.h>

#include <string_view>

namespace fathom {
namespace {

// Key 00 01 ... 0f; the expected bytes are OpenSSL's, read as two little-endian words.
Hash128 hash(std::string_view message) {
  return sip_hash_128({0x0706050403020100, 0x0f0e0d0c0b0a0908},
                      std::as_bytes(std::span(message.data(), message.size())));
}

TEST(SipHash, AgreesWithOpenSsl) {
  EXPECT_EQ(hash(""), (Hash128{0xe6a825ba047f81a3, 0x930255c71472f66d}));
  EXPECT_EQ(hash(std::string_view("\0", 1)), (Hash128{0x44af996bd8c187da, 0x45fc229b11597634}));
  EXPECT_EQ(hash("eight by"), (Hash128{0x8fbf166371022efa, 0x621d178e4860bb72}));
  EXPECT_EQ(hash("The eleven tokens of a block"),
            (Hash128{0x09118db01eed3a68, 0x85ed0dcebbfb9208}));
}

TEST(SipHash, DependsOnTheKey) {
  const std::byte message[3] = {};
  EXPECT_NE(sip_hash_128({1, 2}, message), sip_hash_128({1, 3}, message));
  EXPECT_NE(sip_hash_128({1, 2}, message), sip_hash_128({0, 2}, message));
}

}  // namespace
}  // namespace fathom
