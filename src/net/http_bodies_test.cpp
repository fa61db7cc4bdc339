// Bodies that are not wanted, and what bodies of all connections may take together.
#include <gtest/gtest.h>

#include <mutex>

#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

std::string post(const std::string& path, std::size_t bytes) {
  return "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(bytes) +
         "\r\n\r\n";
}

TEST(HttpBodies, ARouteThatTakesNoneGetsNone) {
  const auto app = make_app(echo);
  app->on_takes_body = [](const HttpRequest& head) { return head.path != "/none"; };
  const auto server = start_server(app);
  RawClient with(server->port());
  with.send(post("/none", 1'000'000) + "some of it");
  const std::string answer = with.receive_rest();
  EXPECT_EQ(answer.find("HTTP/1.1 200 "), 0u);
  EXPECT_NE(answer.find("Connection: close\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("POST /none "));

  RawClient waits(server->port());
  waits.send("POST /none HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n");
  EXPECT_EQ(waits.receive_rest().find("HTTP/1.1 200 "), 0u);

  // Without one the connection stays.
  RawClient without(server->port());
  without.send(get_request("/none") + post("/some", 3) + "abc");
  without.receive_until("POST /some abc");
}

// Keeps requests, and answers each at once.
class Keeper {
 public:
  Handler handler() {
    return [this](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
      {
        const std::scoped_lock lock(mutex_);
        if (request.path == "/keep") kept_.push_back(request);
      }
      writer->send({200, {}, "got " + std::to_string(request.body.size())});
    };
  }
  void forget() {
    const std::scoped_lock lock(mutex_);
    kept_.clear();
  }

 private:
  std::mutex mutex_;
  std::vector<HttpRequest> kept_;
};

TEST(HttpBodies, OfAllConnectionsHaveABound) {
  constexpr std::size_t kLarge = 400'000;
  Keeper keeper;
  ServerOptions options = test_options();
  options.max_bodies_bytes = 1'000'000;
  const auto server = start_server(keeper.handler(), options);
  RawClient first(server->port());
  first.send(post("/keep", kLarge) + std::string(kLarge, 'x'));
  first.receive_until("got 400000");
  EXPECT_GE(server->stats().body_bytes, kLarge - kFreeBodyBytes);

  const auto ask = [&](std::size_t bytes, const std::string& framing) {
    RawClient client(server->port());
    client.send(framing + std::string(bytes, 'x'));
    return client.receive_until("}}");
  };
  // A second one that is still on its way, and one too many in each framing.
  RawClient second(server->port());
  second.send(post("/", kLarge) + std::string(kLarge - 1, 'x'));
  EXPECT_TRUE(
      eventually([&] { return server->stats().body_bytes > 2 * (kLarge - kFreeBodyBytes); }));
  EXPECT_EQ(ask(kLarge, post("/", kLarge)).find("HTTP/1.1 503 "), 0u);
  EXPECT_EQ(ask(kLarge, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n61a80\r\n")
                .find("HTTP/1.1 503 "),
            0u);
  // Small ones are served, and so is the second as it ends.
  RawClient small(server->port());
  small.send(post("/", 10'000) + std::string(10'000, 'x'));
  small.receive_until("got 10000");
  second.send("x");
  second.receive_until("got 400000");

  keeper.forget();
  EXPECT_TRUE(eventually([&] { return server->stats().body_bytes == 0; }));
  RawClient last(server->port());
  last.send(post("/", kLarge) + std::string(kLarge, 'x'));
  last.receive_until("got 400000");
}

TEST(HttpBodies, OfAClientThatLeftCountNoMore) {
  const auto server = start_server(echo);
  {
    RawClient client(server->port());
    client.send(post("/", 2'000'000) + std::string(1'000'000, 'x'));
    EXPECT_TRUE(eventually([&] { return server->stats().body_bytes > 0; }));
  }
  EXPECT_TRUE(eventually([&] { return server->stats().body_bytes == 0; }));
}

}  // namespace
}  // namespace fathom::net
