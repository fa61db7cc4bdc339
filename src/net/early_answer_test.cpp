// Answers that are given before a request's body is read, and headers that every answer gets.
#include <gtest/gtest.h>

#include <atomic>

#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

std::optional<HttpResponse> refuse_private(const HttpRequest& head) {
  if (head.path != "/private") return std::nullopt;
  return HttpResponse{401, {{"X-Why", "no key"}}, "keep out"};
}

class EarlyAnswer : public ::testing::Test {
 protected:
  EarlyAnswer() {
    const auto app = make_app([this](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
      ++handled;
      echo(std::move(request), std::move(writer));
    });
    app->on_early_answer = refuse_private;
    app->on_response_headers = [](const HttpRequest& request) {
      return std::vector<Header>{{"X-Path", request.path}};
    };
    server = start_server(app);
  }

  std::atomic<int> handled = 0;
  std::unique_ptr<HttpServer> server;
};

TEST_F(EarlyAnswer, KeepsTheConnectionWhereNoBodyFollows) {
  RawClient client(server->port());
  client.send(get_request("/private") + get_request("/public"));
  const std::string answers = client.receive_until("GET /public");
  EXPECT_EQ(answers.find("HTTP/1.1 401 Unauthorized\r\n"), 0u);
  EXPECT_NE(answers.find("X-Why: no key\r\n"), std::string::npos);
  EXPECT_NE(answers.find("keep outHTTP/1.1 200 OK\r\n"), std::string::npos);
  EXPECT_NE(answers.find("X-Path: /public\r\n"), std::string::npos);
  EXPECT_EQ(handled, 1);
}

TEST_F(EarlyAnswer, ReadsNoBodyAndCloses) {
  RawClient client(server->port());
  client.send(
      "POST /private HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
      "Expect: 100-continue\r\n\r\n");
  const std::string answer = client.receive_rest();
  EXPECT_EQ(answer.find("HTTP/1.1 401 "), 0u) << answer;
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);

  RawClient chunked(server->port());
  chunked.send("POST /private HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nGET /");
  EXPECT_NE(chunked.receive_rest().find("Connection: close\r\n"), std::string::npos);
  EXPECT_EQ(handled, 0);
}

TEST_F(EarlyAnswer, HasNoBodyForHead) {
  RawClient client(server->port());
  client.send("HEAD /private HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive_rest();
  EXPECT_NE(answer.find("Content-Length: 8\r\n"), std::string::npos);
  EXPECT_EQ(answer.find("keep out"), std::string::npos);
}

}  // namespace
}  // namespace fathom::net
