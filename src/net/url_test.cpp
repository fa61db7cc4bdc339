#include "net/url.h"

#include <gtest/gtest.h>

namespace fathom::net {
namespace {

struct UrlCase {
  const char* text;
  const char* scheme;
  const char* host;
  int port;
  const char* target;
  const char* authority;
};

TEST(Url, Parses) {
  const UrlCase cases[] = {
      {"http://localhost:8000/v1/models?x=1", "http", "localhost", 8000, "/v1/models?x=1",
       "localhost:8000"},
      {"http://example.org", "http", "example.org", 80, "/", "example.org"},
      {"https://example.org/a#b", "https", "example.org", 443, "/a", "example.org"},
      {"http://[::1]:9/x", "http", "::1", 9, "/x", "[::1]:9"},
      {"http://[fe80::1]", "http", "fe80::1", 80, "/", "[fe80::1]"},
      {"127.0.0.1:8000", "http", "127.0.0.1", 8000, "/", "127.0.0.1:8000"},
      {"http://host?q=http://y/", "http", "host", 80, "/?q=http://y/", "host"},
  };
  for (const UrlCase& expected : cases) {
    const auto url = parse_url(expected.text);
    ASSERT_TRUE(url.ok()) << expected.text << ": " << url.error().message;
    EXPECT_EQ(url->scheme, expected.scheme) << expected.text;
    EXPECT_EQ(url->host, expected.host) << expected.text;
    EXPECT_EQ(url->port, expected.port) << expected.text;
    EXPECT_EQ(url->target, expected.target) << expected.text;
    EXPECT_EQ(url->authority(), expected.authority) << expected.text;
  }
}

TEST(Url, RefusesWithTheTextInTheMessage) {
  for (const std::string bad : {"",
                                "http://",
                                "http:///x",
                                "ftp://host",
                                "http://host:0",
                                "http://host:65536",
                                "http://host:",
                                "http://host:8o",
                                "http://host:80:80",
                                "http://::1/",
                                "http://[::1",
                                "http://[::1]x",
                                "http://[]",
                                "http://me:secret@host",
                                "http://ho st",
                                "http://host/\r\nX: y",
                                "http://[::g]",
                                "http://ho\x80st",
                                "http://host:-1",
                                "http://a,b"}) {
    const auto url = parse_url(bad);
    ASSERT_FALSE(url.ok()) << bad;
    EXPECT_NE(url.error().message.find("\"" + bad + "\": expected"), std::string::npos);
  }
}

}  // namespace
}  // namespace fathom::net
