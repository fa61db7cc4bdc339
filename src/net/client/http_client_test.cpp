#include "net/client/http_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <future>
#include <optional>

#include "net/sse.h"
#include "net/testing/raw_server.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;

ClientRequest get(int port, const std::string& target = "/") {
  ClientRequest request;
  request.url = {"http", "127.0.0.1", port, target};
  return request;
}

class Client : public ::testing::Test {
 protected:
  template <typename T>
  void start(Awaitable<Result<T>> work, std::optional<Result<T>>& result) {
    boost::asio::co_spawn(io, store(std::move(work), result), [](std::exception_ptr exception) {
      if (exception) std::rethrow_exception(exception);
    });
  }
  template <typename T>
  static Awaitable<void> store(Awaitable<Result<T>> work, std::optional<Result<T>>& result) {
    result = co_await std::move(work);
  }
  // Runs the loop until `condition` holds; a failure of the test if it does not within 5 s.
  void run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 5s;
    io.restart();
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      if (io.stopped()) io.restart();
      io.run_one_for(1ms);
    }
    EXPECT_TRUE(condition());
  }
  template <typename T>
  Result<T> wait(Awaitable<Result<T>> work) {
    std::optional<Result<T>> result;
    start(std::move(work), result);
    run_until([&] { return result.has_value(); });
    if (!result) return Error{ErrorCode::kInternal, "the test gave up"};
    return std::move(*result);
  }
  HttpClient& client() {
    if (!made) made.emplace(io, options);
    return *made;
  }
  std::string body_of(ClientRequest request) {
    const auto answer = wait(client().request(std::move(request)));
    return answer ? answer->body : answer.error().message;
  }
  Error error_of(ClientRequest request) {
    const auto answer = wait(client().request(std::move(request)));
    return answer ? Error{ErrorCode::kInternal, "no error"} : answer.error();
  }

  ClientOptions options;
  boost::asio::io_context io{1};
  std::optional<HttpClient> made;
};

TEST_F(Client, KeepsAConnectionForTheNextCall) {
  const auto server = start_server(echo);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(body_of(get(server->port(), "/a")), "GET /a ");
  ClientRequest post = get(server->port(), "/b");
  post.method = "POST";
  post.body = std::string(300'000, 'x');
  EXPECT_EQ(body_of(post), "POST /b " + post.body);
  ClientRequest head = get(server->port());
  head.method = "HEAD";
  EXPECT_EQ(body_of(head), "");
  EXPECT_EQ(server->stats().accepted_connections, 1u);
  EXPECT_EQ(client().stats().reused, 4u);
  EXPECT_EQ(client().stats().opened, 1u);
  EXPECT_EQ(client().stats().idle, 1u);
  EXPECT_EQ(client().stats().in_use, 0u);
}

TEST_F(Client, CallsBeyondTheLimitWaitForTheirTurn) {
  options.pool.max_per_host = 2;
  const auto server = start_server(echo);
  std::vector<std::optional<Result<HttpResponse>>> answers(20);
  for (auto& answer : answers) start(client().request(get(server->port())), answer);
  run_until([&] {
    return std::all_of(answers.begin(), answers.end(), [](const auto& one) { return one; });
  });
  for (const auto& answer : answers) EXPECT_EQ((*answer)->body, "GET / ");
  EXPECT_EQ(server->stats().accepted_connections, 2u);
  EXPECT_EQ(client().stats().in_use, 0u);
  EXPECT_EQ(client().stats().idle, 2u);
}

TEST_F(Client, ACallThatHasNoTurnInTimeFails) {
  options.pool.max_per_host = 1;
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->begin_stream(200, {});
    writer->write("part");
    writer->end();
  });
  auto holder = client().call(get(server->port()));
  ASSERT_TRUE(wait(holder->head()).ok());
  ClientRequest late = get(server->port());
  late.connect_timeout = 20ms;
  const Error error = error_of(late);
  EXPECT_EQ(error.code, ErrorCode::kUnavailable);
  EXPECT_NE(error.message.find("no connection free within 20 ms"), std::string::npos);
  holder = nullptr;  // its body is not read: another connection serves the next
  EXPECT_EQ(body_of(get(server->port())), "part");
  EXPECT_EQ(server->stats().accepted_connections, 2u);
}

TEST_F(Client, EventsArriveAsTheyAreSent) {
  std::promise<void> first_came;
  const auto server = start_server([&](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->begin_stream(200, {{"Content-Type", "text/event-stream"}});
    writer->write(sse_event("one"));
    first_came.get_future().wait_for(5s);
    writer->write(sse_event("two"));
    writer->end();
  });
  const auto call = client().call(get(server->port()));
  const auto head = wait(call->head());
  ASSERT_TRUE(head.ok()) << head.error().message;
  EXPECT_EQ(*head->header("content-type"), "text/event-stream");
  SseParser parser;
  std::vector<SseEvent> events;
  std::string piece;
  bool more = true;
  while (more) {
    const auto read = wait(call->read(piece));
    ASSERT_TRUE(read.ok()) << read.error().message;
    more = *read;
    const bool had_none = events.empty();
    parser.feed(piece, events);
    if (had_none && !events.empty()) {
      EXPECT_EQ(events.size(), 1u);
      first_came.set_value();
    }
  }
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[1].data, "two");
  EXPECT_EQ(client().stats().idle, 1u);
}

TEST_F(Client, AnAnswerThatIsNotReadClosesItsConnection) {
  std::atomic<bool> gone = false;
  const auto server = start_server([&](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->on_client_gone([&gone, writer] { gone = true; });
    writer->begin_stream(200, {});
    writer->write("part");
  });
  auto call = client().call(get(server->port()));
  ASSERT_TRUE(wait(call->head()).ok());
  std::string piece;
  ASSERT_TRUE(wait(call->read(piece)).ok());
  EXPECT_EQ(piece, "part");
  EXPECT_EQ(client().stats().in_use, 1u);
  call = nullptr;
  EXPECT_TRUE(eventually([&] { return gone.load(); }));
  EXPECT_EQ(client().stats().in_use, 0u);
  EXPECT_EQ(client().stats().idle, 0u);
}

TEST_F(Client, CancellingClosesTheConnection) {
  std::atomic<int> gone = 0;
  std::atomic<int> came = 0;
  const auto server = start_server([&](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->on_client_gone([&gone, writer] { ++gone; });
    ++came;
  });
  const auto call = client().call(get(server->port()));
  std::optional<Result<HttpResponse>> head;
  start(call->head(), head);
  run_until([&] { return came == 1; });
  EXPECT_FALSE(head);
  call->cancel();
  run_until([&] { return head.has_value(); });
  ASSERT_FALSE(head->ok());
  EXPECT_EQ(head->error().code, ErrorCode::kCancelled);
  EXPECT_TRUE(call->may_have_reached());
  EXPECT_TRUE(eventually([&] { return gone == 1; }));
  std::string piece;
  EXPECT_EQ(wait(call->read(piece)).error().code, ErrorCode::kCancelled);
  EXPECT_EQ(client().stats().in_use, 0u);
}

TEST_F(Client, CancellingEndsTheWaitForATurn) {
  options.pool.max_per_host = 1;
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->on_client_gone([writer] {});
    writer->begin_stream(200, {});
    writer->write("part");
  });
  const auto holder = client().call(get(server->port()));
  ASSERT_TRUE(wait(holder->head()).ok());
  const auto waiting = client().call(get(server->port()));
  std::optional<Result<HttpResponse>> head;
  start(waiting->head(), head);
  io.restart();
  io.poll();
  EXPECT_FALSE(head);
  waiting->cancel();
  run_until([&] { return head.has_value(); });
  EXPECT_EQ(head->error().code, ErrorCode::kCancelled);
  EXPECT_FALSE(waiting->may_have_reached());

  const auto never = client().call(get(server->port()));
  never->cancel();
  EXPECT_EQ(wait(never->head()).error().code, ErrorCode::kCancelled);
}

TEST_F(Client, CancellingWhileReadingIsNoEndOfTheBody) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    writer->on_client_gone([writer] {});
    writer->begin_stream(200, {});
    writer->write("part");
  });
  const auto call = client().call(get(server->port()));
  ASSERT_TRUE(wait(call->head()).ok());
  std::string piece;
  ASSERT_TRUE(wait(call->read(piece)).ok());
  std::optional<Result<bool>> more;
  start(call->read(piece), more);
  io.restart();
  io.poll();
  EXPECT_FALSE(more);
  call->cancel();
  run_until([&] { return more.has_value(); });
  ASSERT_FALSE(more->ok());
  EXPECT_EQ(more->error().code, ErrorCode::kCancelled);
}

constexpr const char* kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST_F(Client, DoesNotUseAConnectionThatTheServerClosed) {
  std::promise<void> closed;
  RawServer server([&](RawServer& listening) {
    {
      RawClient first = listening.accept();
      first.receive_until("\r\n\r\n");
      first.send(kOk);
    }
    closed.set_value();
    RawClient second = listening.accept();
    second.receive_until("\r\n\r\n");
    second.send(kOk);
  });
  EXPECT_EQ(body_of(get(server.port())), "ok");
  EXPECT_EQ(client().stats().idle, 1u);
  closed.get_future().wait();
  EXPECT_EQ(body_of(get(server.port())), "ok");
  EXPECT_EQ(client().stats().reused, 0u);
}

TEST_F(Client, DoesNotUseAConnectionOnWhichBytesCameUnasked) {
  std::promise<void> kept;
  std::promise<void> sent;
  RawServer server([&](RawServer& listening) {
    RawClient first = listening.accept();
    first.receive_until("\r\n\r\n");
    first.send(kOk);
    kept.get_future().wait();
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged");
    sent.set_value();
    RawClient second = listening.accept();
    second.receive_until("\r\n\r\n");
    second.send(kOk);
  });
  EXPECT_EQ(body_of(get(server.port())), "ok");
  EXPECT_EQ(client().stats().idle, 1u);
  kept.set_value();
  sent.get_future().wait();
  EXPECT_EQ(body_of(get(server.port())), "ok");
}

TEST_F(Client, SomeAnswersAreTheLastOfTheirConnection) {
  const char* const answers[] = {
      "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
      "HTTP/1.1 200 OK\r\n\r\nok",
  };
  for (const char* const answer : answers) {
    RawServer server([&](RawServer& listening) {
      RawClient one = listening.accept();
      one.receive_until("\r\n\r\n");
      one.send(answer);
      one.shut_down_sending();
      one.receive_rest();
    });
    EXPECT_EQ(body_of(get(server.port())), "ok") << answer;
    EXPECT_EQ(client().stats().idle, 0u) << answer;
  }
}

TEST_F(Client, AnAnswerMayComeBeforeTheRequestIsSent) {
  RawServer server([](RawServer& listening) {
    RawClient one = listening.accept();
    one.receive_until("\r\n\r\n");
    one.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    bool ended = false;
    while (!ended) one.receive_rest(ended);
  });
  ClientRequest request = get(server.port());
  request.method = "POST";
  request.body = std::string(32 << 20, 'x');
  const auto answer = wait(client().request(request));
  ASSERT_TRUE(answer.ok()) << answer.error().message;
  EXPECT_EQ(answer->status, 413);
  EXPECT_EQ(answer->body, "no");
}

TEST_F(Client, SaysWhatIsWrongWithAnAnswer) {
  struct Case {
    std::string answer;
    ErrorCode code;
    const char* words;
  };
  const Case cases[] = {
      {"", ErrorCode::kDataCorrupt, "got a closed connection"},
      {"HTTP/1.1 200", ErrorCode::kDataCorrupt, "got a closed connection"},
      {"SSH-2.0-x\r\n\r\n", ErrorCode::kDataCorrupt, "malformed HTTP message"},
      {"HTTP/1.1 200 OK\nX: y\n\n", ErrorCode::kDataCorrupt, "expected an HTTP answer"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", ErrorCode::kUnavailable,
       "closed before the end"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
       ErrorCode::kUnavailable, "closed before the end"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhalf\r\n", ErrorCode::kDataCorrupt,
       "malformed chunked coding"},
      {"HTTP/1.1 200 OK\r\nX: " + std::string(1000, 'x') + "\r\n\r\n",
       ErrorCode::kResourceExhausted, "headers of at most 500 bytes"},
      {"HTTP/1.1 200 OK\r\n\r\n" + std::string(1001, 'x'), ErrorCode::kResourceExhausted,
       "at most 1000 bytes"},
  };
  options.max_head_bytes = 500;
  for (const Case& one : cases) {
    RawServer server([&](RawServer& listening) {
      RawClient connection = listening.accept();
      connection.receive_until("\r\n\r\n");
      connection.send(one.answer);
    });
    ClientRequest request = get(server.port());
    request.max_body_bytes = 1000;
    const Error error = error_of(request);
    EXPECT_EQ(error.code, one.code) << error.message;
    EXPECT_NE(error.message.find(one.words), std::string::npos) << error.message;
    EXPECT_EQ(error.message.find("read from 127.0.0.1:"), 0u) << error.message;
    EXPECT_EQ(client().stats().in_use, 0u);
    EXPECT_EQ(client().stats().idle, 0u);
  }
}

TEST_F(Client, GivesUpOnSlowServers) {
  const auto error_for = [&](const char* answer, bool on_and_on, auto&& shorten) {
    RawServer server([&](RawServer& listening) {
      RawClient one = listening.accept();
      one.receive_until("\r\n\r\n");
      one.send(answer);
      while (on_and_on && one.send("1\r\nx\r\n")) {
      }
      bool ended = false;
      while (!ended) one.receive_rest(ended);
    });
    ClientRequest request = get(server.port());
    request.max_body_bytes = SIZE_MAX;
    shorten(request);
    return error_of(request).message;
  };
  const char* const kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_NE(error_for("HTTP/1.1 200 OK\r\n", false,
                      [](ClientRequest& request) { request.head_timeout = 21ms; })
                .find("no answer within 21 ms"),
            std::string::npos);
  EXPECT_NE(
      error_for(kChunked, false, [](ClientRequest& request) { request.silence_timeout = 22ms; })
          .find("no answer within 22 ms"),
      std::string::npos);
  EXPECT_NE(error_for(kChunked, true, [](ClientRequest& request) { request.body_timeout = 23ms; })
                .find("no answer within 23 ms"),
            std::string::npos);
}

TEST_F(Client, ClosesWhatIsIdleTooLong) {
  options.pool.idle_timeout = 1ms;
  const auto server = start_server(echo);
  EXPECT_EQ(body_of(get(server->port())), "GET / ");
  run_until([&] { return client().stats().idle == 0; });
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_EQ(body_of(get(server->port())), "GET / ");
}

TEST_F(Client, ClosesTheLongestIdleBeyondTheLimit) {
  options.pool.max_idle = 1;
  const auto one = start_server(echo);
  const auto other = start_server(echo);
  EXPECT_EQ(body_of(get(one->port())), "GET / ");
  EXPECT_EQ(body_of(get(other->port())), "GET / ");
  EXPECT_EQ(client().stats().idle, 1u);
  EXPECT_EQ(body_of(get(other->port())), "GET / ");
  EXPECT_EQ(client().stats().reused, 1u);
  EXPECT_EQ(body_of(get(one->port())), "GET / ");
  EXPECT_EQ(client().stats().reused, 1u);
}

TEST_F(Client, SaysWhyItCannotConnect) {
  int port = 0;
  {
    const auto server = start_server(echo);
    port = server->port();
  }
  const auto call = client().call(get(port));
  const auto refused = wait(call->head());
  ASSERT_FALSE(refused.ok());
  EXPECT_EQ(refused.error().message,
            "connect to 127.0.0.1:" + std::to_string(port) + ": connection refused");
  EXPECT_FALSE(call->may_have_reached());
  ClientRequest nowhere = get(port);
  nowhere.url.host = "no-such-host.invalid";
  EXPECT_EQ(error_of(nowhere).message.find("resolve no-such-host.invalid:"), 0u);
}

TEST_F(Client, RefusesRequestsThatWouldForgeAnother) {
  const auto server = start_server(echo);
  const auto code_of = [&](const auto& change) {
    ClientRequest request = get(server->port());
    change(request);
    return error_of(request).code;
  };
  using Changed = ClientRequest&;
  const auto expected = ErrorCode::kInvalidArgument;
  EXPECT_EQ(code_of([](Changed request) { request.method = "GET /x"; }), expected);
  EXPECT_EQ(code_of([](Changed request) { request.url.target = "/\r\nX: y"; }), expected);
  EXPECT_EQ(code_of([](Changed request) { request.url.target = "/ HTTP/1.1"; }), expected);
  EXPECT_EQ(code_of([](Changed request) { request.headers = {{"X", "y\r\nZ: 1"}}; }), expected);
  EXPECT_EQ(code_of([](Changed request) { request.headers = {{"X: y", ""}}; }), expected);
  EXPECT_EQ(code_of([](Changed request) {
              request.headers = {{"content-length", "1"}};
            }),
            expected);
  EXPECT_EQ(server->stats().accepted_connections, 0u);
}

TEST_F(Client, MayGoBeforeItsCalls) {
  const auto server = start_server(echo);
  const auto call = client().call(get(server->port()));
  ASSERT_TRUE(wait(call->head()).ok());
  made.reset();
  std::string piece;
  const auto read = wait(call->read(piece));
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(piece, "GET / ");
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
}

}  // namespace
}  // namespace fathom::net
