// Sizes, times, numbers of connections and file descriptors.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <boost/system/error_code.hpp>
#include <cerrno>
#include <thread>

#include "base/log.h"
#include "net/http_server.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

std::string status_line(const std::string& answer) {
  return answer.substr(0, answer.find("\r\n"));
}

std::string answer_to(const HttpServer& server, const std::string& bytes) {
  RawClient client(server.port());
  client.send(bytes);
  return client.receive_rest();
}

TEST(HttpLimits, HeaderSizes) {
  ServerOptions options = test_options();
  options.max_header_bytes = 1000;
  const auto server = start_server(echo, options);
  const std::string start = "GET / HTTP/1.1\r\nConnection: close\r\nHost: ";
  const std::string fits = start + std::string(1000 - start.size() - 4, 'h') + "\r\n\r\n";
  EXPECT_EQ(status_line(answer_to(*server, fits)), "HTTP/1.1 200 OK");
  const std::string one_more = start + std::string(1001 - start.size() - 4, 'h') + "\r\n\r\n";
  EXPECT_EQ(status_line(answer_to(*server, one_more)),
            "HTTP/1.1 431 Request Header Fields Too Large");
  // Without an end in sight.
  EXPECT_EQ(status_line(answer_to(*server, "GET /" + std::string(100'000, 'a'))),
            "HTTP/1.1 431 Request Header Fields Too Large");
}

TEST(HttpLimits, BodySizesAreRefusedBeforeTheBody) {
  ServerOptions options = test_options();
  options.max_body_bytes = 100;
  const auto server = start_server(echo, options);
  const std::string head = "POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
  EXPECT_EQ(
      status_line(answer_to(*server, head + "Content-Length: 100\r\n\r\n" + std::string(100, 'x'))),
      "HTTP/1.1 200 OK");
  for (const char* framing :
       {"Content-Length: 101\r\n\r\n", "Content-Length: 999999999999999999\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n65\r\n",
        "Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"}) {
    const std::string answer = answer_to(*server, head + framing);
    EXPECT_EQ(status_line(answer), "HTTP/1.1 413 Content Too Large") << framing;
    EXPECT_NE(answer.find("expected at most 100 bytes"), std::string::npos);
  }
}

TEST(HttpLimits, ARefusedUploaderCanReadWhy) {
  ServerOptions options = test_options();
  options.max_body_bytes = 100;
  const auto server = start_server(echo, options);
  RawClient client(server->port());
  client.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3000000\r\n\r\n");
  client.send(std::string(3'000'000, 'x'));
  EXPECT_EQ(status_line(client.receive_until("}}")), "HTTP/1.1 413 Content Too Large");
}

TEST(HttpLimits, SlowRequestsTimeOut) {
  ServerOptions options = test_options();
  options.header_timeout = 100ms;
  options.body_timeout = 150ms;
  options.idle_timeout = 100ms;
  const auto server = start_server(echo, options);

  RawClient silent(server->port());
  EXPECT_EQ(silent.receive_rest(), "");

  RawClient slow_head(server->port());
  slow_head.send("GET / HTTP/1.1\r\nHost:");
  EXPECT_EQ(status_line(slow_head.receive_rest()), "HTTP/1.1 408 Request Timeout");

  // A byte now and then does not buy time.
  RawClient dripping(server->port());
  std::thread drip([&] {
    for (int i = 0; i < 40 && dripping.send("a"); ++i) std::this_thread::sleep_for(20ms);
  });
  EXPECT_EQ(status_line(dripping.receive_until("}}")), "HTTP/1.1 408 Request Timeout");
  drip.join();

  for (const char* body :
       {"Content-Length: 10\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    RawClient slow_body(server->port());
    slow_body.send("POST / HTTP/1.1\r\nHost: h\r\n" + std::string(body));
    EXPECT_EQ(status_line(slow_body.receive_rest()), "HTTP/1.1 408 Request Timeout") << body;
  }

  RawClient idle(server->port());
  idle.send(get_request("/"));
  EXPECT_TRUE(idle.receive_rest().ends_with("GET / "));
}

TEST(HttpLimits, ARunningAnswerIsNoIdleConnection) {
  ServerOptions options = test_options();
  options.header_timeout = 50ms;
  options.body_timeout = 50ms;
  options.idle_timeout = 50ms;
  const auto server = start_server(
      [](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
        std::this_thread::sleep_for(200ms);
        writer->send({200, {}, "late"});
      },
      options);
  RawClient client(server->port());
  client.send(get_request("/"));
  EXPECT_TRUE(client.receive_until("late").ends_with("late"));
}

TEST(HttpLimits, TooManyConnectionsGet503) {
  ServerOptions options = test_options();
  options.max_connections = 2;
  const auto server = start_server(echo, options);
  RawClient first(server->port());
  RawClient second(server->port());
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 2; }));
  {
    RawClient third(server->port());
    EXPECT_EQ(status_line(third.receive_rest()), "HTTP/1.1 503 Service Unavailable");
  }
  EXPECT_EQ(server->stats().refused_connections, 1u);
  first.close();
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 1; }));
  RawClient fourth(server->port());
  fourth.send(get_request("/4"));
  fourth.receive_until("GET /4");
}

void ignore(HttpRequest, std::shared_ptr<ResponseWriter>) {}

TEST(HttpLimits, ErrorsAreWordedByTheApplication) {
  const auto app = make_app(ignore);
  app->on_protocol_error = [](int status, const std::string& message, const HttpRequest&) {
    return HttpResponse{status, {{"Content-Type", "text/x-test"}}, "dialect: " + message};
  };
  const auto server = start_server(app);
  const std::string refused = answer_to(*server, "BAD\r\n\r\n");
  EXPECT_EQ(status_line(refused), "HTTP/1.1 400 Bad Request");
  EXPECT_NE(refused.find("text/x-test"), std::string::npos);
  EXPECT_NE(refused.find("dialect: "), std::string::npos);
  RawClient client(server->port());
  client.send(get_request("/"));
  EXPECT_EQ(status_line(client.receive_until("dialect: ")), "HTTP/1.1 500 Internal Server Error");
  EXPECT_EQ(server->stats().protocol_errors, 1u);
}

// What is known of a request goes into its error, however early it fails.
TEST(HttpLimits, ErrorsKnowTheRequest) {
  ServerOptions options = test_options();
  options.max_header_bytes = 512;
  options.max_body_bytes = 4;
  const auto app = make_app(ignore);
  app->on_protocol_error = [](int status, const std::string&, const HttpRequest& head) {
    const std::string* origin = head.header("origin");
    return HttpResponse{status, {}, head.path + "|" + (origin == nullptr ? "none" : *origin)};
  };
  const auto server = start_server(app, options);
  const std::string head = "POST /a?b HTTP/1.1\r\nHost: x\r\nOrigin: o\r\n";
  const std::pair<std::string, std::string> cases[] = {
      {head + "Content-Length: 5\r\n\r\nabcde", "/a|o"},            // 413
      {head + "Transfer-Encoding: chunked\r\n\r\nx\r\n", "/a|o"},   // 400 in the body
      {head + "Content-Length: x\r\n\r\n", "/a|o"},                 // 400 in the head
      {head + "X: " + std::string(600, 'y') + "\r\n\r\n", "/a|o"},  // 431
      {head + "no colon\r\nX: y\r\n\r\n", "/a|o"},                  // 400
      {"POST /a HTTP/1.1\nHost: x\n\n", "|none"},                   // no line that is one
      {"nonsense\r\n\r\n", "|none"}};
  for (const auto& [request, expected] : cases) {
    EXPECT_TRUE(answer_to(*server, request).ends_with("\r\n\r\n" + expected)) << request;
  }
}

// Lowers the limit of file descriptors to those open now.
class NoMoreDescriptors {
 public:
  NoMoreDescriptors() {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    const int lowest_free = ::dup(0);
    ::close(lowest_free);
    rlimit lowered = before_;
    lowered.rlim_cur = static_cast<rlim_t>(lowest_free);
    ::setrlimit(RLIMIT_NOFILE, &lowered);
  }
  ~NoMoreDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_{};
};

// Those who are there are served, the next hear that there is no room.
TEST(HttpLimits, OutOfDescriptorsClientsGet503) {
  const auto server = start_server(echo);
  RawClient served(server->port());
  served.send(get_request("/before"));
  served.receive_until("GET /before");
  // Sanitizers look at objects of a new type through a pipe, so neither the log nor the system's
  // error codes must be new below.
  const boost::system::error_code expected(EMFILE, boost::system::system_category());
  log_info("net: the next line complains of: {}", expected.message());
  for (uint64_t round = 1; round <= 3; ++round) {
    // The client takes the last descriptor, so the server's end of it finds none.
    const int reserved = ::dup(0);
    const NoMoreDescriptors none;
    ::close(reserved);
    RawClient client(server->port());
    client.send(get_request("/too-many"));
    const std::string answer = client.receive_rest();
    EXPECT_EQ(status_line(answer), "HTTP/1.1 503 Service Unavailable");
    // Counted once the server has its reserve again.
    EXPECT_TRUE(eventually([&] { return server->stats().refused_connections == round; }));
    EXPECT_EQ(server->stats().accept_failures, round) << "the listener does not rest";
    served.send(get_request("/meanwhile"));
    served.receive_until("GET /meanwhile");
  }
  RawClient after(server->port());
  after.send(get_request("/after"));
  after.receive_until("GET /after");
}

}  // namespace
}  // namespace fathom::net
