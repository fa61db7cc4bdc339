#include "net/http_head.h"

#include <gtest/gtest.h>

#include "net/head_scanner.h"

namespace fathom::net {
namespace {

// The status of the error that a whole request head leads to; 200 for none, 0 for an unfinished
// head.
int status_of(std::string_view text, RequestHead& head) {
  HeadScanner scanner;
  const HeadScanner::Outcome outcome = scanner.scan(text);
  if (outcome == HeadScanner::Outcome::kIncomplete) return 0;
  if (outcome == HeadScanner::Outcome::kMalformed) return 400;
  const auto error = parse_request_head(scanner.head(text), head);
  return error ? error->status : 200;
}

int status_of(std::string_view text) {
  RequestHead head;
  return status_of(text, head);
}

std::string with_header(std::string_view line) {
  return "POST / HTTP/1.1\r\nHost: h\r\n" + std::string(line) + "\r\n\r\n";
}

TEST(HttpHead, ReadsARequest) {
  RequestHead head;
  ASSERT_EQ(status_of("POST /v1/x?a=%20b&c HTTP/1.1\r\nhOST: h:1\r\nContent-Length: 012\r\n"
                      "X-Empty:\r\nX-Spaces: \t a b \t\r\n\r\n",
                      head),
            200);
  EXPECT_EQ(head.request.method, Method::kPost);
  EXPECT_EQ(head.request.path, "/v1/x");
  EXPECT_EQ(head.request.query, "a=%20b&c");
  EXPECT_EQ(head.content_length, 12u);
  EXPECT_EQ(*head.request.header("host"), "h:1");
  EXPECT_EQ(*head.request.header("x-empty"), "");
  EXPECT_EQ(*head.request.header("x-spaces"), "a b");
  EXPECT_TRUE(head.keep_alive);
  EXPECT_FALSE(head.chunked);
}

TEST(HttpHead, ReadsTargetsOfEveryForm) {
  struct Case {
    const char* line;
    const char* path;
    const char* query;
  };
  for (const Case& expected :
       {Case{"GET http://host:1/a/b?c HTTP/1.1", "/a/b", "c"},
        Case{"GET HTTP://host?c HTTP/1.1", "/", "c"}, Case{"GET https://host HTTP/1.1", "/", ""},
        Case{"OPTIONS * HTTP/1.1", "*", ""}, Case{"GET /? HTTP/1.1", "/", ""},
        Case{"BREW //x HTTP/1.1", "//x", ""}}) {
    RequestHead head;
    ASSERT_EQ(status_of(std::string(expected.line) + "\r\nHost: h\r\n\r\n", head), 200)
        << expected.line;
    EXPECT_EQ(head.request.path, expected.path) << expected.line;
    EXPECT_EQ(head.request.query, expected.query) << expected.line;
  }
}

TEST(HttpHead, KnowsWhoKeepsTheConnection) {
  const auto keeps = [](const std::string& text) {
    RequestHead head;
    EXPECT_EQ(status_of(text, head), 200) << text;
    return head.keep_alive;
  };
  EXPECT_FALSE(keeps("GET / HTTP/1.0\r\n\r\n"));
  EXPECT_TRUE(keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
  EXPECT_FALSE(keeps(with_header("Connection: foo, CLOSE")));
  EXPECT_TRUE(keeps(with_header("Connection: upgrade")));
}

TEST(HttpHead, RefusesWhatCouldBeReadInTwoWays) {
  const std::pair<std::string, int> cases[] = {
      {with_header("Content-Length: 1\r\nTransfer-Encoding: chunked"), 400},
      {with_header("Transfer-Encoding: chunked\r\nContent-Length: 1"), 400},
      {with_header("Content-Length: 1\r\nTransfer-Encoding: identity"), 400},
      {with_header("Transfer-Encoding: identity\r\nContent-Length: 1"), 400},
      {with_header("Content-Length: 1\r\nContent-Length: 2"), 400},
      {with_header("Content-Length: 1\r\nContent-Length: 1"), 400},
      {with_header("Content-Length: 1, 1"), 400},
      {with_header("Content-Length: +1"), 400},
      {with_header("Content-Length: -1"), 400},
      {with_header("Content-Length: 0x1"), 400},
      {with_header("Content-Length: 1 1"), 400},
      {with_header("Content-Length: 1.0"), 400},
      {with_header("Content-Length:"), 400},
      {with_header("Content-Length: 99999999999999999999"), 400},
      {with_header("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), 400},
      {with_header("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), 400},
      {with_header("Transfer-Encoding: gzip, chunked"), 501},
      {with_header("Transfer-Encoding: chunked, identity"), 501},
      {with_header("Transfer-Encoding: xchunked"), 501},
      {with_header("Transfer-Encoding: \"chunked\""), 501},
      {with_header("Transfer-Encoding:"), 501},
      {with_header("Transfer-Encoding : chunked"), 400},
      {with_header("Transfer-Encoding\t: chunked"), 400},
      {with_header("Transfer-Encoding: \x0b"
                   "chunked"),
       400},
      {with_header("X: a\r\n folded"), 400},
      {with_header("X: a\r\n\tfolded"), 400},
      {with_header(" X: a"), 400},
      {with_header("X: a\nY: b"), 400},
      {with_header("X: a\rY: b"), 400},
      {with_header(std::string("X: a\0b", 6)), 400},
      {with_header("X: a\x7f"), 400},
      {with_header("no colon"), 400},
      {with_header(": no name"), 400},
      {with_header("na me: x"), 400},
      {with_header("n\xc3\xa4me: x"), 400},
      {with_header("Host: second"), 400},
      {with_header("Expect: 200-ok"), 417},
      {"GET / HTTP/1.1\r\n\r\n", 400},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
      {"GET / HTTP/1.2\r\nHost: h\r\n\r\n", 505},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\n", 505},
      {"GET / HTTP/1.10\r\nHost: h\r\n\r\n", 400},
      {"GET / http/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\r\nHost: h\r\n\r\n", 400},
      {"GET  / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /  HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET / HTTP/1.1 \r\nHost: h\r\n\r\n", 400},
      {" GET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"G(T / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET a HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /\x80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"GET /#x HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n", 501},
      {"\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
      {"\nGET / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
  };
  for (const auto& [text, status] : cases) EXPECT_EQ(status_of(text), status) << text;
  EXPECT_EQ(status_of("\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), 200);
}

TEST(HttpHead, LimitsTheNumberOfHeaders) {
  std::string many = "Host: h\r\n";
  for (int i = 0; i < 255; ++i) many += "a: b\r\n";
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n" + many + "\r\n"), 200);
  EXPECT_EQ(status_of("GET / HTTP/1.1\r\n" + many + "a: b\r\n\r\n"), 431);
}

TEST(HttpHead, ScannerFindsTheEndHoweverTheInputGrows) {
  const std::string text = "\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\nBODY";
  HeadScanner scanner;
  std::size_t size = 0;
  while (scanner.scan(text.substr(0, size)) == HeadScanner::Outcome::kIncomplete) ++size;
  EXPECT_EQ(size, text.size() - 4);
  EXPECT_EQ(scanner.end(), size);
  EXPECT_EQ(scanner.head(text), "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}

TEST(HttpHead, ScannerRefusesAtTheFirstBadByte) {
  for (const char bad : {'\0', '\x01', '\n', '\x16', '\x7f'}) {
    HeadScanner scanner;
    EXPECT_EQ(scanner.scan(std::string("GET") + bad), HeadScanner::Outcome::kMalformed) << int(bad);
  }
  HeadScanner scanner;
  EXPECT_EQ(scanner.scan("GET / HTTP/1.1\rX"), HeadScanner::Outcome::kMalformed);
}

TEST(HttpHead, ReadsAResponse) {
  ResponseHead head;
  EXPECT_FALSE(
      parse_response_head("HTTP/1.1 404 Not here\r\nContent-Length: 3\r\nX: y\r\n\r\n", head));
  EXPECT_EQ(head.response.status, 404);
  EXPECT_EQ(head.content_length, 3u);
  EXPECT_EQ(*head.response.header("x"), "y");
  ResponseHead other;
  EXPECT_TRUE(parse_response_head("HTTP/1.1 2 OK\r\n\r\n", other));
  EXPECT_TRUE(parse_response_head("ICY 200 OK\r\n\r\n", other));
}

}  // namespace
}  // namespace fathom::net
