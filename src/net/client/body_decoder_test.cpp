#include "net/client/body_decoder.h"

#include <gtest/gtest.h>

namespace fathom::net {
namespace {

using Outcome = BodyDecoder::Outcome;

ResponseHead head_with(int status, std::optional<std::uint64_t> length, bool chunked = false) {
  ResponseHead head;
  head.response.status = status;
  head.content_length = length;
  head.chunked = chunked;
  return head;
}

TEST(BodyDecoder, LeavesWhatIsNotOfTheBodyWhereverTheStreamIsCut) {
  struct Case {
    ResponseHead head;
    std::string stream;
  };
  const Case cases[] = {
      {head_with(200, 4), "bodynext"},
      {head_with(200, {}, true), "1;x=y\r\nb\r\n3\r\nody\r\n0\r\nTrailer: x\r\n\r\nnext"},
  };
  for (const Case& one : cases) {
    for (std::size_t cut = 0; cut <= one.stream.size(); ++cut) {
      BodyDecoder decoder(one.head, false);
      std::string body;
      std::string input = one.stream.substr(0, cut);
      Outcome outcome = decoder.feed(input, body);
      if (outcome == Outcome::kNeedMore) {
        EXPECT_EQ(input, "");
        input = one.stream.substr(cut);
        outcome = decoder.feed(input, body);
      } else {
        input += one.stream.substr(cut);
      }
      EXPECT_EQ(outcome, Outcome::kDone) << cut;
      EXPECT_EQ(body, "body") << cut;
      EXPECT_EQ(input, "next") << cut;
    }
  }
}

TEST(BodyDecoder, SomeAnswersHaveNoBody) {
  const std::pair<ResponseHead, bool> cases[] = {
      {head_with(200, 0), false}, {head_with(204, {}), false},      {head_with(304, 4), false},
      {head_with(200, 4), true},  {head_with(200, {}, true), true}, {head_with(200, {}), true},
  };
  for (const auto& [head, to_head_request] : cases) {
    BodyDecoder decoder(head, to_head_request);
    EXPECT_FALSE(decoder.ends_with_connection());
    std::string input = "next";
    std::string body;
    EXPECT_EQ(decoder.feed(input, body), Outcome::kDone) << head.response.status;
    EXPECT_EQ(input, "next");
    EXPECT_EQ(body, "");
  }
}

TEST(BodyDecoder, ABodyOfUnknownLengthEndsWithTheConnection) {
  BodyDecoder decoder(head_with(200, {}), false);
  EXPECT_TRUE(decoder.ends_with_connection());
  std::string input = "all";
  std::string body;
  EXPECT_EQ(decoder.feed(input, body), Outcome::kNeedMore);
  EXPECT_EQ(body, "all");
  EXPECT_EQ(input, "");
}

TEST(BodyDecoder, RefusesWhatIsNotChunked) {
  BodyDecoder decoder(head_with(200, {}, true), false);
  std::string input = "zz\r\n";
  std::string body;
  EXPECT_EQ(decoder.feed(input, body), Outcome::kMalformed);
}

}  // namespace
}  // namespace fathom::net
