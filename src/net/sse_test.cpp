#include "net/sse.h"

#include <gtest/gtest.h>

namespace fathom::net {
namespace {

std::vector<SseEvent> parse(std::string_view text, std::size_t piece_bytes) {
  SseParser parser;
  std::vector<SseEvent> events;
  for (std::size_t i = 0; i < text.size(); i += piece_bytes) {
    EXPECT_TRUE(parser.feed(text.substr(i, piece_bytes), events));
  }
  return events;
}

TEST(Sse, FormatsOneEvent) {
  EXPECT_EQ(sse_event("{\"a\":1}"), "data: {\"a\":1}\n\n");
  EXPECT_EQ(sse_event(""), "data: \n\n");
  EXPECT_EQ(sse_event("ping", "{}"), "event: ping\ndata: {}\n\n");
  EXPECT_EQ(sse_comment("keep-alive"), ": keep-alive\n\n");
}

TEST(Sse, NoTextBreaksOutOfItsEvent) {
  for (const std::string text :
       {"a\n\ndata: forged", "a\r\rid: 7", "a\r\n\r\nevent: x", "\n", "\r"}) {
    const auto events = parse(sse_event(text), 3);
    ASSERT_EQ(events.size(), 1u) << text;
    EXPECT_EQ(events[0].type, "");
    EXPECT_EQ(events[0].id, "");
  }
  EXPECT_EQ(parse(sse_event("one\r\ntwo\rthree\n"), 1)[0].data, "one\ntwo\nthree\n");
  EXPECT_EQ(parse(sse_event("evil\ndata: x", "y"), 1).size(), 1u);
}

TEST(Sse, ParsesTheSameHoweverTheStreamIsCut) {
  const std::string stream =
      "\xEF\xBB\xBF"
      "data: first\r\n\r\n: comment\r\rdata:second\rdata: line\n\nevent: done\nid: 42\ndata\n\n"
      "event: no data\n\nunknown: field\ndata:  two spaces\nretry: 10\n\ndata: never finished\n";
  for (std::size_t piece = 1; piece < stream.size(); ++piece) {
    const auto events = parse(stream, piece);
    ASSERT_EQ(events.size(), 4u) << piece;
    EXPECT_EQ(events[0].data, "first");
    EXPECT_EQ(events[1].data, "second\nline");
    EXPECT_EQ(events[2].type, "done");
    EXPECT_EQ(events[2].data, "");
    EXPECT_EQ(events[2].id, "42");
    EXPECT_EQ(events[3].data, " two spaces");
    EXPECT_EQ(events[3].type, "");
    EXPECT_EQ(events[3].id, "42");
  }
}

TEST(Sse, RefusesEventsBeyondTheLimit) {
  std::vector<SseEvent> events;
  SseParser long_line(100);
  EXPECT_FALSE(long_line.feed("data: " + std::string(200, 'x'), events));
  SseParser many_lines(100);
  bool accepted = true;
  for (int i = 0; i < 30; ++i) accepted = many_lines.feed("data: 12345\n", events);
  EXPECT_FALSE(accepted);
  EXPECT_FALSE(many_lines.feed("\n\n", events));
  EXPECT_TRUE(events.empty());
}

}  // namespace
}  // namespace fathom::net
