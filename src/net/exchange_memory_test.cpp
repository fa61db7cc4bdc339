// What becomes of an answer when an allocation fails: it is sent whole, or an error is, or the
// client sees that it is cut.
#include <gtest/gtest.h>

#include <new>

#include "base/testing/allocation_counter.h"
#include "net/exchange.h"
#include "net/testing/test_server.h"

namespace fathom::net {
namespace {

ExchangeOptions options(int& wakes) {
  ExchangeOptions options;
  options.stream_buffer_bytes = 1 << 20;
  options.error_response = [](int status, const std::string& message) {
    return make_app(echo)->protocol_error(status, message, {});
  };
  options.wake = [&wakes] { ++wakes; };
  return options;
}

// Runs `act` with ever more allocations that succeed, until none fails; `check` after each.
template <typename Act, typename Check>
void with_each_failure(const Act& act, const Check& check) {
  constexpr int kMostAllocations = 1000;
  bool failed = true;
  for (int good = 0; failed; ++good) {
    ASSERT_LT(good, kMostAllocations);
    int wakes = 0;
    const auto exchange = std::make_shared<Exchange>(options(wakes));
    auto writer = make_response_writer(exchange);
    {
      const AllocationFailure failure(good);
      try {
        act(*writer);
      } catch (const std::bad_alloc&) {
      }
      writer = nullptr;
      failed = failure.happened();
    }
    EXPECT_GE(wakes, 1) << good;
    check(*exchange, failed);
  }
}

TEST(ExchangeMemory, AWholeAnswerIsSentOrAnErrorIs) {
  with_each_failure(
      [](ResponseWriter& writer) {
        HttpResponse response;
        response.headers.push_back({"X-A-Header-With-A-Long-Name", std::string(100, 'v')});
        response.body = std::string(3000, 'b') + "end";
        writer.send(std::move(response));
      },
      [](Exchange& exchange, bool failed) {
        std::string output;
        EXPECT_EQ(exchange.take(output), Exchange::Phase::kComplete);
        EXPECT_EQ(output.find("HTTP/1.1 "), 0u);
        EXPECT_EQ(output.find("HTTP/1.1 ", 1), std::string::npos) << output;
        const std::size_t body = output.find("\r\n\r\n") + 4;
        const std::string length = "Content-Length: " + std::to_string(output.size() - body);
        EXPECT_NE(output.find(length + "\r\n"), std::string::npos) << output;
        if (!failed) {
          EXPECT_TRUE(output.ends_with("bend"));
        }
      });
}

TEST(ExchangeMemory, AStreamHasWholeEventsOnlyAndIsCut) {
  with_each_failure(
      [](ResponseWriter& writer) {
        writer.begin_stream(200, {});
        for (int i = 0; i < 20; ++i) writer.write(std::string(200, 'e'));
        writer.end();
      },
      [](Exchange& exchange, bool failed) {
        std::string output;
        const auto phase = exchange.take(output);
        if (!failed) {
          EXPECT_EQ(phase, Exchange::Phase::kComplete);
        }
        if (phase == Exchange::Phase::kOpen) {
          EXPECT_TRUE(exchange.broken());
        }
        if (exchange.broken()) {
          EXPECT_TRUE(output.ends_with("\r\n"));
        }
      });
}

// The answer's way to the client needs no memory of the handler's thread either.
TEST(ExchangeMemory, AClientHearsThatThereIsNone) {
  const auto server = start_server([](HttpRequest, std::shared_ptr<ResponseWriter> writer) {
    const AllocationFailure failure(0);
    writer = nullptr;
  });
  RawClient client(server->port());
  client.send(get_request("/"));
  const std::string answer = client.receive_rest();
  EXPECT_EQ(answer.find("HTTP/1.1 503 Service Unavailable\r\n"), 0u) << answer;
  EXPECT_NE(answer.find("Retry-After: "), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\"code\":\"memory\"}}")) << answer;

  RawClient head(server->port());
  head.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(head.receive_rest().ends_with("\r\n\r\n"));
}

}  // namespace
}  // namespace fathom::net
