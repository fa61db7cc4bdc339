#include "net/client/blocking.h"

#include <gtest/gtest.h>

#include "net/testing/raw_server.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

BlockingRequest call_to(int port, const std::string& target = "/") {
  BlockingRequest call;
  call.url = {"http", "127.0.0.1", port, target};
  call.head_timeout = 5s;
  return call;
}

// Answers one connection with fixed bytes and closes it; at once, or when the client has.
class CannedServer : public RawServer {
 public:
  enum class Close { kAtOnce, kAfterClient };

  explicit CannedServer(std::string answer, Close close = Close::kAtOnce)
      : RawServer([text = std::move(answer), close](RawServer& server) {
          RawClient client = server.accept();
          client.receive_until("\r\n\r\n");
          client.send(text);
          if (close == Close::kAfterClient) client.receive_rest();
        }) {}
};

TEST(BlockingClient, SendsTheWholeRequest) {
  const auto server = start_server([](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
    writer->send({404,
                  {{"X-A", *request.header("x-a")}},
                  request.method_text + " " + request.target + " " + request.body});
  });
  BlockingRequest call = call_to(server->port(), "/p?q=1");
  call.method = "POST";
  call.headers = {{"X-A", "b"}};
  call.body = "text";
  const auto answer = request(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 404);
  EXPECT_EQ(*answer->header("x-a"), "b");
  EXPECT_EQ(answer->body, "POST /p?q=1 text");
}

TEST(BlockingClient, ReadsEveryFraming) {
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
    const auto answer = request(call_to(server.port()));
    ASSERT_TRUE(answer.ok()) << text << answer.error().message;
    EXPECT_EQ(answer->body, body) << text;
  }
}

TEST(BlockingClient, BadAnswersAreErrors) {
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
    const auto answer = request(call_to(server.port()));
    ASSERT_FALSE(answer.ok()) << text;
    EXPECT_EQ(answer.error().code, code) << text << answer.error().message;
    EXPECT_NE(answer.error().message.find("127.0.0.1:" + std::to_string(server.port())),
              std::string::npos);
  }
}

TEST(BlockingClient, RefusesAnswersBeyondTheLimit) {
  const CannedServer server("HTTP/1.1 200 OK\r\n\r\n" + std::string(1000, 'x'));
  BlockingRequest call = call_to(server.port());
  call.max_body_bytes = 999;
  const auto answer = request(call);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kResourceExhausted);
}

TEST(BlockingClient, StreamsAndStopsWhenTold) {
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

TEST(BlockingClient, TimesOutAndCancels) {
  {
    const CannedServer silent("HTTP/1.1 200 OK\r\n", CannedServer::Close::kAfterClient);
    BlockingRequest call = call_to(silent.port());
    call.head_timeout = 100ms;
    const auto answer = request(call);
    ASSERT_FALSE(answer.ok());
    EXPECT_EQ(answer.error().code, ErrorCode::kUnavailable);
    EXPECT_NE(answer.error().message.find("no answer within 100 ms"), std::string::npos);
  }
  const CannedServer silent("", CannedServer::Close::kAfterClient);
  BlockingRequest call = call_to(silent.port());
  int asked = 0;
  call.cancelled = [&] { return ++asked == 2; };
  const auto answer = request(call);
  ASSERT_FALSE(answer.ok());
  EXPECT_EQ(answer.error().code, ErrorCode::kCancelled);
}

TEST(BlockingClient, SaysWhyItCannotConnect) {
  int port = 0;
  {
    const auto server = start_server(echo);
    port = server->port();
  }
  const auto refused = request(call_to(port));
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "connect to 127.0.0.1:" + std::to_string(port) + ": connection refused");
  BlockingRequest call;
  call.url = parse_url("http://no-such-host.invalid/").value();
  EXPECT_EQ(request(call).error().message.find("resolve no-such-host.invalid: "), 0u);
  call.url = {"http", "127.0.0.1", port, "/\r\nX: y"};
  EXPECT_EQ(request(call).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace fathom::net
