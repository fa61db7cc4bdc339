// Streamed answers: chunks, keep-alive comments, clients that go away or do not read, shutdown.
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <mutex>
#include <thread>

#include "net/client/blocking.h"
#include "net/http_server.h"
#include "net/sse.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

// Hands writers from the handler to the test.
class WriterBox {
 public:
  Handler handler() {
    return [this](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
      const std::scoped_lock lock(mutex_);
      writers_.push_back(std::move(writer));
    };
  }
  std::shared_ptr<ResponseWriter> take() {
    std::shared_ptr<ResponseWriter> taken;
    EXPECT_TRUE(eventually([&] {
      const std::scoped_lock lock(mutex_);
      if (writers_.empty()) return false;
      taken = std::move(writers_.front());
      writers_.erase(writers_.begin());
      return true;
    }));
    return taken;
  }

 private:
  std::mutex mutex_;
  std::vector<std::shared_ptr<ResponseWriter>> writers_;
};

TEST(HttpStream, ChunksArriveAsTheyAreWritten) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  const auto writer = box.take();
  writer->begin_stream(200, {{"Content-Type", "text/event-stream"}});
  const std::string head = client.receive_until("\r\n\r\n");
  EXPECT_NE(head.find("Transfer-Encoding: chunked\r\n"), std::string::npos);
  EXPECT_EQ(head.find("Content-Length"), std::string::npos);
  EXPECT_TRUE(writer->write(sse_event("one")));
  client.receive_until("b\r\ndata: one\n\n\r\n");
  EXPECT_TRUE(writer->write(""));
  EXPECT_TRUE(writer->write(sse_event("two")));
  client.receive_until("b\r\ndata: two\n\n\r\n");
  writer->end();
  client.receive_until("\r\n0\r\n\r\n");
  EXPECT_FALSE(writer->client_gone());
  // The connection is kept for the next request.
  client.send(get_request("/next"));
  box.take()->send({200, {}, "second answer"});
  client.receive_until("second answer");
}

TEST(HttpStream, Http10EndsByClosing) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const auto writer = box.take();
  writer->begin_stream(200, {});
  writer->write("plain ");
  writer->write("bytes");
  writer->end();
  const std::string answer = client.receive_rest();
  EXPECT_TRUE(answer.ends_with("\r\n\r\nplain bytes")) << answer;
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
}

TEST(HttpStream, HeadOfAStreamHasNoBody) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send("HEAD / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  const auto writer = box.take();
  writer->begin_stream(200, {});
  writer->start_keep_alive("ignored", 1ms);
  EXPECT_TRUE(writer->write("ignored"));
  writer->end();
  EXPECT_TRUE(client.receive_rest().ends_with("\r\n\r\n"));
}

// How long the server takes to notice that an idle stream's client left.
std::chrono::milliseconds time_to_notice(const std::function<void(RawClient&)>& leave,
                                         const std::string& more_input = "") {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/") + more_input);
  const auto writer = box.take();
  std::promise<void> noticed;
  std::atomic<int> calls = 0;
  writer->on_client_gone([&] {
    if (calls++ == 0) noticed.set_value();
  });
  writer->begin_stream(200, {});
  writer->write("x");
  client.receive_until("1\r\nx\r\n");
  EXPECT_FALSE(writer->client_gone());
  const auto left = Clock::now();
  leave(client);
  EXPECT_EQ(noticed.get_future().wait_for(5s), std::future_status::ready);
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - left);
  EXPECT_TRUE(writer->client_gone());
  EXPECT_FALSE(writer->write("more"));
  writer->end();
  EXPECT_EQ(calls, 1);
  bool late = false;
  writer->on_client_gone([&] { late = true; });
  EXPECT_TRUE(late);
  EXPECT_EQ(server->stats().clients_gone, 1u);
  EXPECT_TRUE(server->drain(5s));
  return took;
}

// Far above what it takes, so that a busy machine does not fail the test.
constexpr auto kNoticeLimit = 1s;

TEST(HttpStream, NoticesAClosedClient) {
  EXPECT_LT(time_to_notice([](RawClient& client) { client.close(); }), kNoticeLimit);
}

TEST(HttpStream, NoticesAResetClient) {
  EXPECT_LT(time_to_notice([](RawClient& client) { client.reset(); }), kNoticeLimit);
}

TEST(HttpStream, NoticesAClosedClientBehindPipelinedRequests) {
  EXPECT_LT(time_to_notice([](RawClient& client) { client.close(); }, get_request("/next")),
            kNoticeLimit);
  EXPECT_LT(time_to_notice([](RawClient& client) { client.close(); }, std::string(100'000, 'x')),
            kNoticeLimit);
}

TEST(HttpStream, AClientThatLeavesBeforeAnyAnswerIsNoticedToo) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  const auto writer = box.take();
  client.close();
  EXPECT_TRUE(eventually([&] { return writer->client_gone(); }));
  writer->send({200, {}, "to nobody"});
}

TEST(HttpStream, TheCallbackIsDroppedWhenTheAnswerIsComplete) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  auto writer = box.take();
  const auto held = std::make_shared<int>(0);
  std::atomic<bool> called = false;
  writer->on_client_gone([held, writer, &called] { called = true; });
  writer->send({200, {}, "done"});
  writer.reset();
  EXPECT_TRUE(eventually([&] { return held.use_count() == 1; }));
  client.close();
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_FALSE(called);
}

TEST(HttpStream, AbandonedStreamIsCutShort) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  auto writer = box.take();
  writer->begin_stream(200, {});
  writer->write("half");
  client.receive_until("half\r\n");
  writer.reset();
  EXPECT_TRUE(client.receive_rest().ends_with("4\r\nhalf\r\n"));
}

TEST(HttpStream, KeepAliveCommentsFillSilence) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  const auto writer = box.take();
  writer->begin_stream(200, {});
  writer->start_keep_alive("keep-alive", 30ms);
  const std::string comment = "e\r\n: keep-alive\n\n\r\n";
  client.receive_until(comment + comment + comment);
  writer->write(sse_event("x"));
  client.receive_until(sse_event("x"));
  writer->end();
  const std::string answer = client.receive_until("\r\n0\r\n\r\n");
  EXPECT_TRUE(answer.ends_with("\r\n0\r\n\r\n"));
  EXPECT_EQ(answer.find("\r\n0\r\n\r\n"), answer.size() - 7);
}

TEST(HttpStream, KeepAliveIsSilentWhileTheStreamIsBusy) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  const auto writer = box.take();
  writer->begin_stream(200, {});
  writer->start_keep_alive("keep-alive", 10s);
  for (int i = 0; i < 50; ++i) {
    writer->write("x");
    std::this_thread::sleep_for(1ms);
  }
  writer->end();
  EXPECT_EQ(client.receive_until("\r\n0\r\n\r\n").find("keep-alive"), std::string::npos);
}

TEST(HttpStream, ASlowReaderIsDisconnected) {
  WriterBox box;
  ServerOptions options = test_options();
  options.stream_buffer_bytes = 256 * 1024;
  const auto server = start_server(box.handler(), options);
  RawClient client(server->port(), 4096);
  client.send(get_request("/"));
  const auto writer = box.take();
  std::atomic<bool> told = false;
  writer->on_client_gone([&] { told = true; });
  writer->begin_stream(200, {});
  const std::string chunk(10'000, 'x');
  int accepted = 0;
  // The kernel buffers some megabytes besides ours.
  while (accepted < 10'000 && writer->write(chunk)) ++accepted;
  EXPECT_LT(accepted, 10'000);
  EXPECT_TRUE(eventually([&] { return told && server->stats().slow_readers == 1; }));
  EXPECT_TRUE(writer->client_gone());
}

// What ends an answer may repeat all of it in several events.
TEST(HttpStream, EventsLargerThanTheBufferReachAReader) {
  constexpr std::size_t kLarge = 20'000'000;
  WriterBox box;
  ServerOptions options = test_options();
  options.stream_buffer_bytes = 64 * 1024;
  const auto server = start_server(box.handler(), options);
  RawClient client(server->port(), 4096);
  client.send("GET / HTTP/1.0\r\nHost: test\r\n\r\n");
  const auto writer = box.take();
  writer->begin_stream(200, {});
  const std::string large(kLarge, 'x');
  EXPECT_TRUE(writer->write("small"));
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(writer->write(large)) << i;
  EXPECT_TRUE(writer->write("end"));
  writer->end();
  bool ended = false;
  const std::string answer = client.receive_rest(ended, 60s);
  EXPECT_TRUE(ended);
  EXPECT_EQ(answer.size() - answer.find("small"), 4 * kLarge + 8);
  EXPECT_TRUE(answer.ends_with("xend"));
  EXPECT_EQ(server->stats().slow_readers, 0u);
}

TEST(HttpStream, LargeEventsAreBoundedForOneWhoDoesNotRead) {
  constexpr std::size_t kLarge = 10'000'000;
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient client(server->port(), 4096);
  client.send(get_request("/"));
  const auto writer = box.take();
  writer->begin_stream(200, {});
  const std::string large(kLarge, 'x');
  int accepted = 0;
  while (accepted < 20 && writer->write(large)) ++accepted;
  EXPECT_GE(accepted, 4);
  EXPECT_LT(accepted, 8);
  EXPECT_TRUE(eventually([&] { return server->stats().slow_readers == 1; }));
}

TEST(HttpStream, AStalledReaderOfAWholeAnswerTimesOut) {
  ServerOptions options = test_options();
  options.write_timeout = 200ms;
  const auto server = start_server(
      [](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
        writer->send({200, {}, std::string(30'000'000, 'x')});
      },
      options);
  RawClient client(server->port(), 4096);
  client.send(get_request("/"));
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_EQ(server->stats().active_responses, 0);
}

TEST(HttpStream, ManyStreamsFromSeveralThreads) {
  constexpr int kStreams = 40;
  constexpr int kChunks = 50;
  ServerOptions options = test_options();
  options.threads = 2;
  WriterBox box;
  const auto server = start_server(box.handler(), options);
  std::vector<RawClient> clients;
  std::vector<std::shared_ptr<ResponseWriter>> writers;
  for (int i = 0; i < kStreams; ++i) {
    clients.emplace_back(server->port());
    clients.back().send(get_request("/"));
    writers.push_back(box.take());
    writers.back()->begin_stream(200, {});
  }
  // Two threads write to each stream; a chunk must never be torn.
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int n = 0; n < kChunks; ++n) {
        for (const auto& writer : writers) EXPECT_TRUE(writer->write("event\n"));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& writer : writers) writer->end();
  for (auto& client : clients) {
    const std::string answer = client.receive_until("\r\n0\r\n\r\n");
    std::string expected;
    for (int n = 0; n < 2 * kChunks; ++n) expected += "6\r\nevent\n\r\n";
    EXPECT_TRUE(answer.ends_with("\r\n\r\n" + expected + "0\r\n\r\n"));
  }
}

TEST(HttpStream, WritersAndClientsMayLeaveAtTheSameTime) {
  WriterBox box;
  const auto server = start_server(box.handler());
  for (int i = 0; i < 60; ++i) {
    RawClient client(server->port());
    client.send(get_request("/"));
    auto writer = box.take();
    writer->on_client_gone([writer] { writer->end(); });
    writer->begin_stream(200, {});
    std::thread producer([writer = std::move(writer)]() mutable {
      for (int n = 0; n < 20; ++n) writer->write("data");
      writer.reset();
    });
    if (i % 2)
      client.reset();
    else
      client.close();
    producer.join();
  }
  EXPECT_TRUE(eventually([&] { return server->stats().open_connections == 0; }));
  EXPECT_EQ(server->stats().active_responses, 0);
}

TEST(HttpStream, DrainLetsRunningStreamsFinishAndRefusesNewRequests) {
  WriterBox box;
  const auto server = start_server(box.handler());
  RawClient kept(server->port());
  kept.send(get_request("/"));
  box.take()->send({200, {}, "first"});
  kept.receive_until("first");
  RawClient streaming(server->port());
  streaming.send(get_request("/"));
  const auto writer = box.take();
  writer->begin_stream(200, {});

  server->stop_accepting();
  EXPECT_FALSE(server->drain(20ms));
  RawClient late(server->port());
  late.send(get_request("/"));
  EXPECT_EQ(late.receive_rest().find("HTTP/1.1 503 Service Unavailable\r\n"), 0u);
  kept.send(get_request("/"));
  EXPECT_NE(kept.receive_rest().find("HTTP/1.1 503 "), std::string::npos);

  EXPECT_TRUE(writer->write("still here"));
  std::thread finisher([&] {
    std::this_thread::sleep_for(50ms);
    writer->end();
  });
  EXPECT_TRUE(server->drain(5s));
  finisher.join();
  server->stop();
  EXPECT_TRUE(streaming.receive_rest().ends_with("still here\r\n0\r\n\r\n"));
}

TEST(HttpStream, StopTellsRunningWritersAndTheyOutliveTheServer) {
  WriterBox box;
  auto server = start_server(box.handler());
  RawClient client(server->port());
  client.send(get_request("/"));
  RawClient idle(server->port());
  const auto writer = box.take();
  std::atomic<bool> told = false;
  writer->on_client_gone([&] { told = true; });
  writer->begin_stream(200, {});
  server->stop();
  EXPECT_TRUE(told);
  server.reset();
  EXPECT_TRUE(writer->client_gone());
  EXPECT_FALSE(writer->write("x"));
  writer->end();
  client.receive_rest();
  idle.receive_rest();
}

TEST(HttpStream, ABlockedHandlerDelaysNoStream) {
  std::promise<void> go;
  std::shared_future<void> gate = go.get_future().share();
  ServerOptions options = test_options();
  options.threads = 1;
  options.handler_threads = 2;
  const auto server = start_server(
      [gate](HttpRequest request, std::shared_ptr<ResponseWriter> writer) {
        if (request.path == "/block") gate.wait();
        echo(std::move(request), std::move(writer));
      },
      options);
  RawClient blocked(server->port());
  blocked.send(get_request("/block"));
  RawClient free(server->port());
  free.send(get_request("/free"));
  free.receive_until("GET /free");
  go.set_value();
  blocked.receive_until("GET /block");
}

}  // namespace
}  // namespace fathom::net
