// Generated malformed requests: each has to end in a 4xx or 5xx answer or a closed connection, none
// may reach the handler, and the server has to go on serving.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

constexpr int kBatches = 42;
constexpr int kMessagesPerBatch = 50;

struct Message {
  std::string bytes;
  bool may_be_valid = false;  // damaged at random, possibly harmlessly
  bool shut_down = false;     // the client ends its half after sending
};

class Generator {
 public:
  explicit Generator(unsigned seed) : random_(seed) {}

  Message next() {
    switch (index_++ % 9) {
      case 0:
        return {head(pick(kConflictingFraming)) + "5\r\nhello\r\n0\r\n\r\n" + smuggled()};
      case 1:
        return {head("Transfer-Encoding: chunked\r\n") + bad_chunks() + smuggled()};
      case 2:
        return {with_forbidden_byte()};
      case 3:
        return {giant_head()};
      case 4:
        return truncated();
      case 5:
        return {noise(), false, coin()};
      case 6:
        return {pick(kBadStartLines) + "\r\nHost: h\r\n\r\n" + smuggled()};
      case 7:
        return {head(pick(kBadHeaders)) + smuggled()};
      default:
        return mutated();
    }
  }

 private:
  static inline const std::vector<std::string> kConflictingFraming{
      "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
      "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
      "Content-Length: 5\r\nContent-Length: 6\r\n",
      "Content-Length: 5, 6\r\n",
      "Content-Length: 5,5\r\n",
      "Content-Length: 5 \r\ncontent-length: 5\r\n",
      "Content-Length: +5\r\n",
      "Content-Length: -5\r\n",
      "Content-Length: 0x5\r\n",
      "Content-Length: 5e0\r\n",
      "Content-Length: five\r\n",
      "Content-Length: 18446744073709551621\r\n",
      "Content-Length: 999999999999\r\n",
      "Content-Length:\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
      "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
      "Transfer-Encoding: identity\r\n",
      "Transfer-Encoding: chunked, gzip\r\n",
      "Transfer-Encoding: gzip, chunked\r\n",
      "Transfer-Encoding: chunked;q=1\r\n",
      "Transfer-Encoding: 'chunked'\r\n",
      "Transfer-Encoding: chun ked\r\n",
      "Transfer-Encoding : chunked\r\n",
      "Transfer-Encoding:\r\n chunked\r\n",
      "X: y\r\n Transfer-Encoding: chunked\r\n",
      "Transfer-Encoding: \x0c"
      "chunked\r\n",
  };
  static inline const std::vector<std::string> kBadStartLines{"GET / HTTP/9.9",
                                                              "GET / HTTP/1.1x",
                                                              "GET / HTTP/11",
                                                              "GET / HTTP/-1.1",
                                                              "GET / http/1.1",
                                                              "GET /",
                                                              "GET",
                                                              "GET / / HTTP/1.1",
                                                              " GET / HTTP/1.1",
                                                              "GET  / HTTP/1.1",
                                                              "G\"T / HTTP/1.1",
                                                              "GET x HTTP/1.1",
                                                              "GET \\ HTTP/1.1",
                                                              "CONNECT h:1 HTTP/1.1",
                                                              "PRI * HTTP/2.0",
                                                              "GET /\xff HTTP/1.1",
                                                              "/ HTTP/1.1",
                                                              "HTTP/1.1 200 OK",
                                                              "SSH-2.0-OpenSSH_9",
                                                              "GET ftp://h/ HTTP/1.1",
                                                              "GET / HTTP/1.1\t",
                                                              "GET\t/\tHTTP/1.1",
                                                              "GET / HTTP/3.0",
                                                              "{\"model\": \"x\"}"};
  static inline const std::vector<std::string> kBadHeaders{"no colon at all\r\n",
                                                           ": empty name\r\n",
                                                           "sp ace: x\r\n",
                                                           "X: y\r\n folded\r\n",
                                                           "X : y\r\n",
                                                           "Host: second\r\n",
                                                           "(comment): x\r\n",
                                                           "Expect: the worst\r\n",
                                                           "X\xe9: y\r\n",
                                                           "X: a\rb\r\n",
                                                           "X: a\nb\r\n",
                                                           "Host: a\r\nHost: a\r\n",
                                                           "=\r\n",
                                                           "[x]: y\r\n",
                                                           "Content-Length: 1;\r\n"};

  std::size_t below(std::size_t limit) {
    return std::uniform_int_distribution<std::size_t>(0, limit - 1)(random_);
  }
  bool coin() { return below(2) == 0; }
  const std::string& pick(const std::vector<std::string>& choices) {
    return choices[below(choices.size())];
  }
  static std::string smuggled() { return get_request("/smuggled"); }

  // Other headers around `lines`, in random case.
  std::string head(std::string lines) {
    if (coin()) {
      for (char& c : lines) {
        if (c >= 'a' && c <= 'z' && coin()) c = static_cast<char>(c - 'a' + 'A');
      }
    }
    std::string text = "POST /malformed HTTP/1.1\r\nHost: h\r\n";
    if (coin()) text += "Accept: */*\r\n";
    text += lines;
    if (coin()) text += "User-Agent: generated\r\n";
    return text + "\r\n";
  }

  std::string bad_chunks() {
    static const std::vector<std::string> kBad{"\r\n",
                                               "0x5\r\nhello\r\n",
                                               "-5\r\nhello\r\n",
                                               "+5\r\nhello\r\n",
                                               " 5\r\nhello\r\n",
                                               "5 \r\nhello",
                                               "5\nhello\r\n",
                                               "5\rhello\r\n",
                                               "5\r\nhello!\r\n",
                                               "5\r\nhell\r\n",
                                               "5\r\nhello\n",
                                               "g\r\n",
                                               "5,5\r\nhello\r\n",
                                               "fffffffffffffffff\r\n",
                                               "ffffffffffffffff\r\n",
                                               "7fffffff\r\n",
                                               "5;a\nb\r\nhello\r\n",
                                               "5;\x01\r\nhello\r\n",
                                               "0\r\nbad trailer\r\n\r\n",
                                               "0\r\n: x\r\n\r\n",
                                               "0\r\n\n",
                                               "0\r\nX: y\n\r\n",
                                               "\xef\xbc\x95\r\nhello\r\n"};
    std::string good;
    for (std::size_t i = below(3); i > 0; --i) good += "3\r\nabc\r\n";
    if (below(8) == 0) return good + "5;" + std::string(5000, 'e') + "\r\nhello\r\n0\r\n\r\n";
    return good + pick(kBad) + "0\r\n\r\n";
  }

  std::string with_forbidden_byte() {
    std::string text = head("X-Padding: some value\r\n");
    static constexpr char kForbidden[] = {'\0', '\1', '\b', '\n', '\v', '\f', '\r', '\x1b', '\x7f'};
    // Not into the final empty line, which would only move the head's end.
    text.insert(below(text.size() - 3), 1, kForbidden[below(sizeof(kForbidden))]);
    return text + smuggled();
  }

  std::string giant_head() {
    std::string lines;
    if (coin()) {
      lines = "X-Giant: " + std::string(9000 + below(20'000), 'g') + "\r\n";
    } else {
      for (std::size_t i = 0; i < 300 + below(1000); ++i) lines += "X-Many: header\r\n";
    }
    return head(lines) + smuggled();
  }

  std::string valid_message() {
    return coin() ? head("Content-Length: 12\r\n") + "twelve bytes"
                  : head("Transfer-Encoding: chunked\r\n") + "5\r\nhello\r\n0\r\n\r\n";
  }

  Message truncated() {
    const std::string whole = valid_message();
    // Most clients hang up; some stay, silent, until they time out.
    return {whole.substr(0, 1 + below(whole.size() - 1)), false, below(4) > 0};
  }

  std::string noise() {
    std::string bytes(1 + below(2000), '\0');
    for (char& c : bytes) c = static_cast<char>(below(256));
    if (coin()) bytes.insert(0, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    return bytes;
  }

  Message mutated() {
    std::string bytes = valid_message();
    for (std::size_t i = 1 + below(4); i > 0; --i) {
      const std::size_t at = below(bytes.size());
      if (coin())
        bytes[at] = static_cast<char>(below(256));
      else
        bytes.erase(at, 1 + below(3));
      if (bytes.empty()) bytes = "x";
    }
    return {bytes, true, coin()};
  }

  std::mt19937 random_;
  int index_ = 0;
};

TEST(HttpMalformed, GeneratedMessagesAreRefusedAndTheServerGoesOn) {
  ServerOptions options = test_options();
  options.max_header_bytes = 8 * 1024;
  options.max_body_bytes = 64 * 1024;
  options.header_timeout = 100ms;
  options.body_timeout = 100ms;
  options.idle_timeout = 100ms;
  std::atomic<int> smuggled = 0;
  const auto server = start_server(
      [&](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
        smuggled += request.target.find("smuggled") != std::string::npos;
        echo(std::move(request), std::move(writer));
      },
      options);

  Generator generator(20260);
  for (int batch = 0; batch < kBatches; ++batch) {
    std::vector<Message> messages;
    std::vector<RawClient> clients;
    for (int i = 0; i < kMessagesPerBatch; ++i) {
      messages.push_back(generator.next());
      clients.emplace_back(server->port());
      clients.back().send(messages.back().bytes);
      if (messages.back().shut_down) clients.back().shut_down_sending();
    }
    for (int i = 0; i < kMessagesPerBatch; ++i) {
      const Message& message = messages[static_cast<std::size_t>(i)];
      bool ended = false;
      const std::string answer = clients[static_cast<std::size_t>(i)].receive_rest(ended, 10s);
      ASSERT_TRUE(ended) << "hangs: " << message.bytes.substr(0, 500);
      if (message.may_be_valid || answer.empty()) continue;
      EXPECT_TRUE(answer.starts_with("HTTP/1.1 4") || answer.starts_with("HTTP/1.1 5"))
          << message.bytes.substr(0, 500) << "\nwas answered\n"
          << answer;
    }
    EXPECT_EQ(smuggled, 0) << "in batch " << batch;
    RawClient good(server->port());
    good.send(get_request("/good"));
    good.receive_until("GET /good");
  }
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_EQ(server->stats().active_responses, 0);
}

}  // namespace
}  // namespace fathom::net
