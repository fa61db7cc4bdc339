// Whole answers over real sockets.
#include "net/http_server.h"

#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "net/client/blocking.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

Result<HttpResponse> get(const HttpServer& server, const std::string& path,
                         const std::string& host = "127.0.0.1") {
  BlockingRequest call;
  call.url = {"http", host, server.port(), path};
  call.head_timeout = 5s;
  return request(call);
}

TEST(HttpServer, AnswersAndDescribesTheRequest) {
  HttpRequest seen;
  const auto server =
      start_server([&](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
        seen = std::move(request);
        writer->send({201, {{"X-Kind", "test"}, {"Content-Length", "999"}}, "body"});
      });
  RawClient client(server->port());
  client.send("PUT /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-Y: z\r\nContent-Length: 3\r\n\r\nabc");
  const std::string answer = client.receive_until("body");
  EXPECT_EQ(answer.find("HTTP/1.1 201 Created\r\n"), 0u) << answer;
  EXPECT_NE(answer.find("\r\nX-Kind: test\r\n"), std::string::npos);
  EXPECT_NE(answer.find("\r\nContent-Length: 4\r\n"), std::string::npos);
  EXPECT_EQ(answer.find("999"), std::string::npos);
  EXPECT_NE(answer.find("\r\nDate: "), std::string::npos);
  EXPECT_EQ(seen.method, Method::kPut);
  EXPECT_EQ(seen.path, "/a/b");
  EXPECT_EQ(seen.query, "c=d");
  EXPECT_EQ(seen.body, "abc");
  EXPECT_EQ(*seen.header("x-y"), "z");
  EXPECT_EQ(seen.peer_address, "127.0.0.1");
}

TEST(HttpServer, HeaderValuesCannotForgeHeaders) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->send({200, {{"X-Echo", "a\r\nX-Forged: 1\r\n\r\nbody"}, {"Bad Name", "x"}}, ""});
  });
  const auto answer = get(*server, "/");
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->header("x-forged"), nullptr);
  EXPECT_EQ(*answer->header("x-echo"), "a  X-Forged: 1    body");
  EXPECT_EQ(answer->header("bad name"), nullptr);
}

TEST(HttpServer, PipelinedRequestsAreAnsweredInOrder) {
  // The earlier a request, the longer its answer takes.
  const auto server = start_server([](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
    const int number = request.path[1] - '0';
    std::thread([=] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5 * (9 - number)));
      writer->send({200, {}, "answer " + std::to_string(number) + ";" + request.body});
    }).detach();
  });
  std::string requests;
  for (int i = 0; i < 10; ++i) {
    requests += "POST /" + std::to_string(i) + " HTTP/1.1\r\nHost: h\r\n";
    requests += i % 2 ? "Content-Length: 2\r\n\r\nxy"
                      : "Transfer-Encoding: chunked\r\n\r\n1\r\nz\r\n0\r\n\r\n";
  }
  RawClient client(server->port());
  client.send(requests);
  const std::string answers = client.receive_until("answer 9;xy");
  std::size_t last = 0;
  for (int i = 0; i < 10; ++i) {
    const std::size_t at = answers.find("answer " + std::to_string(i) + (i % 2 ? ";xy" : ";z"));
    ASSERT_NE(at, std::string::npos) << i;
    EXPECT_GE(at, last);
    last = at;
  }
  EXPECT_EQ(server->stats().accepted_connections, 1u);
}

TEST(HttpServer, ManyPipelinedBytesWaitForTheirTurn) {
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  ServerOptions options = test_options();
  const auto server = start_server(
      [gate](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
        if (request.path == "/first") gate.wait();
        echo(std::move(request), std::move(writer));
      },
      options);
  RawClient client(server->port());
  client.send(get_request("/first"));
  const std::string body(40'000, 'b');
  std::thread sender([&] {
    for (int i = 0; i < 5; ++i) {
      client.send("POST /big HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n" + body);
    }
    client.send(get_request("/last"));
  });
  std::this_thread::sleep_for(100ms);
  go.set_value();
  sender.join();
  EXPECT_EQ(client.receive_until("GET /last").size() > 200'000, true);
}

TEST(HttpServer, HeadHasTheLengthButNoBody) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->send({200, {}, "four"});
  });
  RawClient client(server->port());
  client.send(
      "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const std::string answer = client.receive_rest();
  const std::size_t second = answer.find("HTTP/1.1", 1);
  ASSERT_NE(second, std::string::npos);
  EXPECT_NE(answer.find("Content-Length: 4\r\n"), std::string::npos);
  EXPECT_EQ(answer.find("four"), answer.size() - 4);
  EXPECT_EQ(answer.substr(second - 4, 4), "\r\n\r\n");
}

TEST(HttpServer, NoContentHasNeitherBodyNorLength) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->send({204, {{"Connection", "close"}}, "ignored"});
  });
  RawClient client(server->port());
  client.send("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n");
  const std::string answer = client.receive_rest();
  EXPECT_EQ(answer.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("Connection: close\r\n\r\n")) << answer;
}

TEST(HttpServer, Http10ClosesUnlessAskedNotTo) {
  const auto server = start_server(echo);
  RawClient closing(server->port());
  closing.send("GET /a HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(closing.receive_rest().ends_with("GET /a "));
  RawClient keeping(server->port());
  keeping.send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_NE(keeping.receive_until("GET /a ").find("Connection: keep-alive"), std::string::npos);
  keeping.send("GET /b HTTP/1.0\r\n\r\n");
  EXPECT_TRUE(keeping.receive_rest().ends_with("GET /b "));
}

TEST(HttpServer, ExpectContinue) {
  const auto server = start_server(echo);
  RawClient client(server->port());
  client.send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  client.receive_until("HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  client.receive_until("POST /x abc");
  ServerOptions options = test_options();
  options.max_body_bytes = 2;
  const auto small = start_server(echo, options);
  RawClient refused(small->port());
  refused.send("POST /x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(refused.receive_until("\r\n\r\n").find("HTTP/1.1 413 "), 0u);
}

TEST(HttpServer, AWriterLetGoWithoutAnAnswerGives500) {
  const auto server = start_server([](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
    if (request.path == "/throw") throw std::runtime_error("oh");
    writer.reset();
  });
  for (const char* path : {"/", "/throw"}) {
    const auto answer = get(*server, path);
    ASSERT_TRUE(answer.ok()) << answer.error().message;
    EXPECT_EQ(answer->status, 500);
    EXPECT_EQ(answer->body.find("{\"error\":{\"message\":\""), 0u) << answer->body;
    EXPECT_NE(answer->body.find("\"type\":\"internal_error\",\"param\":null,\"code\":null}}"),
              std::string::npos);
  }
}

TEST(HttpServer, CallsOutOfOrderAreIgnored) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    EXPECT_FALSE(writer->write("too early"));
    writer->end();
    writer->send({200, {}, "right"});
    writer->send({200, {}, "twice"});
    writer->begin_stream(200, {});
    EXPECT_FALSE(writer->write("too late"));
  });
  RawClient client(server->port());
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(client.receive_rest().ends_with("\r\n\r\nright"));
}

TEST(HttpServer, LargeBodiesBothWays) {
  const auto server = start_server(echo);
  BlockingRequest call;
  call.url = {"http", "127.0.0.1", server->port(), "/"};
  call.method = "POST";
  call.body = std::string(20'000'000, 'x');
  const auto answer = request(call);
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->body.size(), call.body.size() + 7);
}

TEST(HttpServer, ManyClientsAtOnce) {
  ServerOptions options = test_options();
  options.threads = 3;
  const auto server = start_server(echo, options);
  std::vector<std::thread> clients;
  std::atomic<int> right = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&, i] {
      for (int n = 0; n < 25; ++n) {
        const std::string path = "/" + std::to_string(i) + "-" + std::to_string(n);
        const auto answer = get(*server, path);
        right += answer.ok() && answer->body == "GET " + path + " ";
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(right, 200);
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_EQ(server->stats().requests, 200u);
}

TEST(HttpServer, ListensOnNamesAndIPv6) {
  ServerOptions options = test_options();
  options.host = "localhost";
  const auto named = start_server(echo, options);
  EXPECT_TRUE(get(*named, "/", "localhost").ok());
  EXPECT_TRUE(get(*named, "/", "127.0.0.1").ok());
  for (const char* host : {"::1", "[::1]", "::"}) {
    options.host = host;
    const auto server = HttpServer::start(options, make_app(echo));
    ASSERT_TRUE(server.ok()) << "IPv6 on the loopback device is needed: " << server.error().message;
    EXPECT_TRUE(get(**server, "/", "::1").ok()) << host;
  }
  options.host = "0.0.0.0";
  EXPECT_TRUE(get(*start_server(echo, options), "/").ok());
}

TEST(HttpServer, StartErrorsSayWhatToDo) {
  const auto first = start_server(echo);
  ServerOptions options = test_options();
  options.port = first->port();
  const auto second = HttpServer::start(options, make_app(echo));
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().message, "listen on 127.0.0.1:" + std::to_string(first->port()) +
                                        ": address already in use; choose another with --port");
  options.host = "no-such-host.invalid";
  const auto unknown = HttpServer::start(options, make_app(echo));
  ASSERT_FALSE(unknown.ok());
  EXPECT_NE(unknown.error().message.find("--host"), std::string::npos) << unknown.error().message;
  options.host = "203.0.113.1";
  const auto foreign = HttpServer::start(options, make_app(echo));
  ASSERT_FALSE(foreign.ok());
  EXPECT_NE(foreign.error().message.find("--host"), std::string::npos) << foreign.error().message;
  options.port = 65536;
  EXPECT_EQ(HttpServer::start(options, make_app(echo)).error().message,
            "http server: port: expected 0 to 65535, got 65536");
}

TEST(HttpServer, APortCanBeTakenAgainAtOnce) {
  ServerOptions options = test_options();
  for (int i = 0; i < 3; ++i) {
    const auto server = HttpServer::start(options, make_app(echo));
    ASSERT_TRUE(server.ok()) << server.error().message;
    RawClient client((*server)->port());
    client.send(get_request("/"));
    client.receive_until("GET /");
    options.port = (*server)->port();
    (*server)->stop();
  }
}

}  // namespace
}  // namespace fathom::net
