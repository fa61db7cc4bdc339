#include "net/http_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

ClientRequest call_to(int port, const std::string& target = "/") {
  ClientRequest call;
  call.url = {"http", "127.0.0.1", port, target};
  call.timeout = 5s;
  return call;
}

// Answers one connection with fixed bytes and closes it, after `hold`.
class CannedServer {
 public:
  explicit CannedServer(std::string answer, std::chrono::milliseconds hold = 0ms)
      : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ::bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    ::listen(socket_, 4);
    socklen_t size = sizeof(address);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port = ntohs(address.sin_port);
    thread_ = std::thread([this, hold, text = std::move(answer)] {
      const int client = ::accept(socket_, nullptr, nullptr);
      char request[65536];
      (void)!::recv(client, request, sizeof(request), 0);
      (void)!::send(client, text.data(), text.size(), MSG_NOSIGNAL);
      std::this_thread::sleep_for(hold);
      ::close(client);
    });
  }
  ~CannedServer() {
    thread_.join();
    ::close(socket_);
  }

  int port = 0;

 private:
  int socket_;
  std::thread thread_;
};

TEST(HttpClient, SendsTheWholeRequest) {
  const auto server = start_server([](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
    writer->send({404,
                  {{"X-A", *request.header("x-a")}},
                  request.method_text + " " + request.target + " " + request.body});
  });
  ClientRequest call = call_to(server->port(), "/p?q=1");
  call.method = "POST";
  call.headers = {{"X-A", "b"}};
  call.body = "text";
  const auto answer = request(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(*answer->header("x-a"), "b");
  EXPECT_EQ(answer->body, "POST /p?q=1 text");
}

TEST(HttpClient, ReadsEveryFraming) {
  const std::pair<const char*, const char*> cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody and more", "body"},
      {"HTTP/1.1 200 OK\r\n\r\nuntil close", "until close"},
      {"HTTP/1.0 200 OK\r\n\r\nold", "old"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
       "abc"},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "x"},
      {"HTTP/1.1 204 No Content\r\n\r\n", ""},
  };
  for (const auto& [text, body] : cases) {
    const CannedServer server(text);
    const auto answer = request(call_to(server.port));
    ASSERT_TRUE(answer.ok()) << text << answer.error().message;
    EXPECT_EQ(answer->body, body) << text;
  }
}

TEST(HttpClient, BadAnswersAreErrors) {
  const std::pair<const char*, ErrorCode> cases[] = {
      {"", ErrorCode::kDataCorrupt},
      {"SSH-2.0-x\r\n", ErrorCode::kDataCorrupt},
      {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
       ErrorCode::kDataCorrupt},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ErrorCode::kDataCorrupt},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", ErrorCode::kUnavailable},
      {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", ErrorCode::kUnavailable},
  };
  for (const auto& [text, code] : cases) {
    const CannedServer server(text);
    const auto answer = request(call_to(server.port));
    ASSERT_FALSE(answer.ok()) << text;
    EXPECT_EQ(answer.error().code, code) << text << answer.error().message;
    EXPECT_NE(answer.error().message.find("127.0.0.1:" + std::to_string(server.port)),
              std::string::npos);
  }
}

TEST(HttpClient, RefusesAnswersBeyondTheLimit) {
  const CannedServer server("HTTP/1.1 200 OK\r\n\r\n" + std::string(1000, 'x'));
  ClientRequest call = call_to(server.port);
  call.max_body_bytes = 999;
  const auto answer = request(call);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kResourceExhausted);
}

TEST(HttpClient, StreamsAndStopsWhenTold) {
  std::shared_ptr<ResponseWriter> kept;
  std::atomic<bool> gone = false;
  const auto server = start_server([&](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->on_client_gone([&] { gone = true; });
    writer->begin_stream(202, {{"X-Kind", "stream"}});
    for (int i = 0; i < 3; ++i) writer->write("piece");
    kept = std::move(writer);
  });
  std::string received;
  std::string kind;
  const auto status = stream(
      call_to(server->port()),
      [&](std::string_view data) {
        received += data;
        return received != "piecepiecepiece";
      },
      [&](const HttpResponse& head) { kind = *head.header("x-kind"); });
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_EQ(*status, 202);
  EXPECT_EQ(kind, "stream");
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
}

TEST(HttpClient, TimesOutAndCancels) {
  {
    const CannedServer silent("HTTP/1.1 200 OK\r\n", 300ms);
    ClientRequest call = call_to(silent.port);
    call.timeout = 100ms;
    const auto answer = request(call);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().message.find("no answer within 100 ms"), std::string::npos);
  }
  const CannedServer silent("", 300ms);
  ClientRequest call = call_to(silent.port);
  int asked = 0;
  call.cancelled = [&] { return ++asked == 2; };
  const auto answer = request(call);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

TEST(HttpClient, SaysWhyItCannotConnect) {
  int port = 0;
  {
    const auto server = start_server(echo);
    port = server->port();
  }
  const auto refused = request(call_to(port));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "connect to 127.0.0.1:" + std::to_string(port) + ": connection refused");
  ClientRequest call;
  call.url = parse_url("http://no-such-host.invalid/").value();
  EXPECT_EQ(request(call).error().message.find("resolve no-such-host.invalid: "), 0u);
  call.url = {"http", "127.0.0.1", port, "/\r\nX: y"};
  EXPECT_EQ(request(call).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fathom::net
