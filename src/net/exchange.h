// One request's answer on its way from a handler's threads to the connection's network thread:
// the writer's half queues framed bytes, the connection's half takes them and reports what became
// of them. All methods lock; none blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "net/http_app.h"

namespace fathom::net {

struct ExchangeOptions {
  bool is_head_request = false;
  bool is_http_1_0 = false;
  bool keep_alive = true;  // what the request asks for
  std::size_t stream_buffer_bytes = 0;
  std::vector<Header> extra_headers = {};  // of the answer, whatever it is
  std::function<HttpResponse(int status, std::string message)> error_response;
  // Tells the connection, from any thread, that there is something to take or that the exchange is
  // broken. Not called again for more to take before the next take(). Must not throw.
  std::function<void()> wake;
};

class Exchange {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Exchange(ExchangeOptions options);

  // The writer's half; see ResponseWriter.
  void send(HttpResponse response);
  void begin_stream(int status, std::vector<Header> headers);
  bool write(std::string_view data);
  void end();
  bool gone() const { return gone_.load(std::memory_order_acquire); }
  void on_gone(std::function<void()> callback);
  void start_keep_alive(std::string comment, std::chrono::milliseconds interval);
  // The writer was destroyed.
  void abandon() noexcept;

  // The connection's half.
  enum class Phase {
    kOpen,      // more may come
    kComplete,  // nothing comes after what was taken
  };
  // Replaces `output` (already sent) with the bytes queued since the last call, maybe none.
  Phase take(std::string& output);
  // The connection must be closed: the client reads too slowly, or the stream was abandoned.
  bool broken() const;
  // The answer left completely, or the connection is lost (then the writer's client is gone).
  void finish(bool delivered);
  bool close_after() const;
  bool slow_reader() const;
  // When queue_keep_alive() has something to do; Clock::time_point::max() if never.
  Clock::time_point keep_alive_due() const;
  // Queues a keep-alive comment if nothing was written for its interval.
  void queue_keep_alive(Clock::time_point now);

 private:
  enum class State { kNoAnswer, kStreaming, kEnded };

  // Each is called with mutex_ held.
  bool accept_call(bool in_order, const char* call) const;
  void queue_head(HttpResponse& response, bool stream);
  void queue_chunk(std::string_view data);
  std::size_t most_unsent() const;
  void send_last_resort() noexcept;
  bool must_wake();

  const ExchangeOptions options_;
  mutable std::mutex mutex_;
  State state_ = State::kNoAnswer;
  std::atomic<bool> gone_ = false;
  bool finished_ = false;
  bool broken_ = false;
  bool slow_reader_ = false;
  bool woken_ = false;
  bool close_after_ = false;
  bool chunked_ = false;
  bool drops_body_ = false;  // answers to HEAD, and statuses without a body
  std::string queued_;
  std::size_t in_flight_ = 0;  // bytes taken by the connection and not yet sent
  std::size_t largest_write_ = 0;
  std::function<void()> gone_callback_;
  std::string keep_alive_comment_;
  std::chrono::milliseconds keep_alive_interval_{0};
  Clock::time_point last_write_;
};

// The ResponseWriter over `exchange`; abandons it when destroyed.
std::shared_ptr<ResponseWriter> make_response_writer(std::shared_ptr<Exchange> exchange);

// A whole answer's bytes for a connection that is closed after it.
std::string render_final_response(const HttpResponse& response);

}  // namespace fathom::net
