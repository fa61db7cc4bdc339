#include "net/chunked.h"

#include <gtest/gtest.h>

namespace fathom::net {
namespace {

using Outcome = ChunkedDecoder::Outcome;

struct Decoded {
  Outcome outcome = Outcome::kNeedMore;
  std::string body;
  std::string rest;
};

Decoded decode(std::string_view text, std::size_t piece_bytes, std::uint64_t max_body = 1000) {
  ChunkedDecoder decoder(max_body);
  Decoded result;
  while (!text.empty() && result.outcome == Outcome::kNeedMore) {
    const std::size_t size = std::min(piece_bytes, text.size());
    std::string_view piece = text.substr(0, size);
    result.outcome = decoder.feed(piece, result.body);
    text.remove_prefix(size - piece.size());
  }
  result.rest = text;
  return result;
}

TEST(Chunked, DecodesHoweverTheInputIsCut) {
  const std::string text =
      "5\r\nhello\r\n00A;name=\"v\"\r\n0123456789\r\n0;last\r\nTrailer: x\r\nOther:\r\n\r\nNEXT";
  for (std::size_t piece = 1; piece <= text.size(); ++piece) {
    const Decoded decoded = decode(text, piece);
    EXPECT_EQ(decoded.outcome, Outcome::kDone) << piece;
    EXPECT_EQ(decoded.body, "hello0123456789");
    EXPECT_EQ(decoded.rest, "NEXT");
  }
}

TEST(Chunked, RefusesWhatIsNotPlain) {
  const std::string valid_end = "\r\nx\r\n0\r\n\r\n";
  for (const std::string size : {"", " 1", "1 ", "0x1", "+1", "-1", "g", "1,", "1\t", "1_"}) {
    EXPECT_EQ(decode(size + valid_end, 100).outcome, Outcome::kMalformed) << size;
  }
  for (const std::string text :
       {"1\nx\r\n0\r\n\r\n", "1\rx\r\n", "1\r\nxy\r\n0\r\n\r\n", "1\r\nx\n0\r\n\r\n",
        "1\r\nx\r\r\n0\r\n\r\n", "0\r\nno colon\r\n\r\n", "0\r\n: empty name\r\n\r\n",
        "0\r\n folded: x\r\n\r\n", "0\r\na b: x\r\n\r\n", "0\r\na: b\nc: d\r\n\r\n",
        "1;ext\ny\r\nx\r\n0\r\n\r\n", "1;\x01\r\nx\r\n0\r\n\r\n"}) {
    EXPECT_EQ(decode(text, 100).outcome, Outcome::kMalformed) << text;
  }
  EXPECT_EQ(decode("1;" + std::string(5000, 'a') + "\r\n", 100).outcome, Outcome::kMalformed);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 100; ++i) trailers += "Name: " + std::string(1000, 'v') + "\r\n";
  EXPECT_EQ(decode(trailers + "\r\n", 100).outcome, Outcome::kMalformed);
}

TEST(Chunked, RefusesTooMuchBeforeItArrives) {
  EXPECT_EQ(decode("3e8\r\n", 100).outcome, Outcome::kNeedMore);
  EXPECT_EQ(decode("3e9\r\n", 100).outcome, Outcome::kTooLarge);
  EXPECT_EQ(decode("2\r\nab\r\n3e7\r\n", 100).outcome, Outcome::kTooLarge);
  for (const std::string size :
       {"ffffffffffffffff", "10000000000000000", "fffffffffffffffffffff"}) {
    EXPECT_EQ(decode(size + "\r\n", 100).outcome, Outcome::kTooLarge) << size;
  }
}

}  // namespace
}  // namespace fathom::net
