// Requests that take long wait apart from those that do not, as many as are allowed.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <vector>

#include "net/http_server.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

// Heavy requests run until they are released or their client is gone.
struct SlowWork {
  std::promise<void> promise;
  std::shared_future<void> released{promise.get_future()};
  std::atomic<int> running = 0;
  std::atomic<int> begun = 0;

  std::shared_ptr<FunctionApp> app() {
    auto app = make_app([this](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
      if (request.path == "/heavy") {
        ++begun;
        ++running;
        while (released.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready &&
               !writer->client_gone()) {
        }
        --running;
      }
      echo(std::move(request), std::move(writer));
    });
    app->on_lane = [](const HttpRequest& request) {
      if (request.path == "/heavy") return Lane::kHeavy;
      return request.path == "/short" ? Lane::kShort : Lane::kQuick;
    };
    return app;
  }
};

ServerOptions lane_options(std::size_t requests, std::size_t bytes) {
  ServerOptions options = test_options();
  options.max_heavy_requests = requests;
  options.max_heavy_bytes = bytes;
  return options;
}

std::string heavy_request(std::size_t bytes) {
  return "POST /heavy HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(bytes) +
         "\r\n\r\n" + std::string(bytes, 'x');
}

std::string head_of_answer_to(const HttpServer& server, const std::string& request) {
  RawClient client(server.port());
  client.send(request);
  return client.receive_until("\r\n\r\n");
}

TEST(HandlerLanes, HeavyRequestsHoldUpNoOthers) {
  SlowWork work;
  const auto server = start_server(work.app(), lane_options(100, 1 << 20));
  std::vector<RawClient> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(heavy_request(10));
  }
  EXPECT_TRUE(eventually([&] { return work.running == 2; }));
  for (const char* path : {"/quick", "/short"}) {
    EXPECT_TRUE(head_of_answer_to(*server, get_request(path)).starts_with("HTTP/1.1 200")) << path;
  }
  work.promise.set_value();
  for (RawClient& client : clients) {
    EXPECT_TRUE(client.receive_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  }
}

TEST(HandlerLanes, HeavyRequestsAreBoundedByNumberAndBytes) {
  for (const auto& [requests, bytes] : {std::pair(3, 1 << 20), std::pair(100, 30)}) {
    SlowWork work;
    const auto server = start_server(work.app(), lane_options(requests, bytes));
    std::vector<RawClient> clients;
    for (int i = 0; i < 3; ++i) {
      clients.emplace_back(server->port());
      clients.back().send(heavy_request(10));
    }
    EXPECT_TRUE(eventually([&] { return server->stats().requests == 3; }));
    EXPECT_TRUE(head_of_answer_to(*server, heavy_request(10)).starts_with("HTTP/1.1 503"));
    work.promise.set_value();
    for (RawClient& client : clients) client.receive_until("\r\n\r\n");
    EXPECT_TRUE(eventually(
        [&] { return head_of_answer_to(*server, heavy_request(10)).starts_with("HTTP/1.1 200"); }));
  }
}

TEST(HandlerLanes, AClientThatLeavesTakesItsRequestAlong) {
  SlowWork work;
  std::atomic<int> left = 0;
  std::atomic<int> errors = 0;
  const auto app = work.app();
  app->on_client_left = [&](const HttpRequest& head) {
    EXPECT_EQ(head.path, "/heavy");
    ++left;
  };
  app->on_protocol_error = [&](int status, const std::string&, const HttpRequest&) {
    ++errors;
    return HttpResponse{status, {}, ""};
  };
  const auto server = start_server(app, lane_options(4, 1 << 20));
  std::vector<RawClient> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(heavy_request(10));
    if (i == 1) {
      EXPECT_TRUE(eventually([&] { return work.running == 2; }));
    }
  }
  EXPECT_TRUE(eventually([&] { return server->stats().requests == 4; }));
  // Two that wait leave, and then two that run.
  clients.pop_back();
  clients.pop_back();
  EXPECT_TRUE(eventually([&] { return server->stats().clients_gone == 2; }));
  EXPECT_EQ(work.begun, 2);
  EXPECT_TRUE(eventually([&] { return left == 2; }));
  clients.clear();
  EXPECT_TRUE(eventually([&] { return work.running == 0; }));
  EXPECT_EQ(work.begun, 2);
  EXPECT_EQ(left, 2);  // the handler has the others
  EXPECT_EQ(errors, 0);
}

TEST(HandlerLanes, AClientThatLeavesWithinItsBodyIsTold) {
  std::atomic<int> left = 0;
  const auto app = make_app(echo);
  app->on_client_left = [&](const HttpRequest& head) {
    EXPECT_EQ(head.path, "/x");
    EXPECT_EQ(*head.header("x-request-id"), "mine");
    ++left;
  };
  const auto server = start_server(app);
  RawClient client(server->port());
  client.send(
      "POST /x HTTP/1.1\r\nHost: h\r\nX-Request-Id: mine\r\nContent-Length: 10\r\n\r\nhalf");
  client.close();
  EXPECT_TRUE(eventually([&] { return left == 1; }));
}

TEST(HandlerLanes, StoppingWaitsForNobodyInTheQueue) {
  SlowWork work;
  auto server = start_server(work.app(), lane_options(100, 1 << 20));
  std::vector<RawClient> clients;
  for (int i = 0; i < 20; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(heavy_request(10));
  }
  EXPECT_TRUE(eventually([&] { return server->stats().requests == 20; }));
  server->stop();
  EXPECT_LE(work.begun, 2);
}

}  // namespace
}  // namespace fathom::net
