// One client's connection. A coroutine reads requests one after the other and, while an answer is
// running, watches the socket; a chain of write operations sends what the answer's Exchange
// queues. Both, and every method, run on the loop's thread.
#pragma once

#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "net/exchange.h"
#include "net/http_head.h"
#include "net/server_context.h"
#include "net/socket.h"

namespace fathom::net {

// Bytes read from the socket at a time.
inline constexpr std::size_t kHeadReadBytes = 4096;
inline constexpr std::size_t kBodyReadBytes = 64 * 1024;

class HandlerJob;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(ServerContext& context, std::shared_ptr<Loop> loop, Socket socket);
  ~Connection();

  // Starts `connection` on its loop, to serve requests or, if `refuse`, to answer 503 and close.
  // Callable from any thread.
  static void start(std::shared_ptr<Connection> connection, bool refuse);

  // Cuts the connection.
  void abort();

 private:
  using Clock = Exchange::Clock;
  using TimePoint = Clock::time_point;

  static Awaitable<void> run(std::shared_ptr<Connection> self, bool refuse);

  // Each returns false if the connection has to end; error_ then says what to tell the client.
  Awaitable<bool> serve_request();
  Awaitable<bool> read_head(RequestHead& head);
  Awaitable<bool> read_head_text(RequestHead& head);
  // Into the request of `head`.
  Awaitable<bool> read_body(RequestHead& head);
  Awaitable<bool> read_chunked_body(std::string& body, ByteShare& share);
  Awaitable<bool> read_sized_body(std::size_t size, std::string& body, ByteShare& share);
  bool has_room(const std::string& body, ByteShare& share);
  Awaitable<bool> answer_early(const RequestHead& head, HttpResponse response);
  Awaitable<bool> shake_hands();
  Awaitable<bool> receive(std::size_t max_bytes);
  Awaitable<bool> send_text(std::string text);

  bool fail(int status, std::string message);
  void dispatch(RequestHead head);
  Awaitable<void> watch_until_answered();
  Awaitable<void> poll_for_hang_up();
  Awaitable<void> send_error();
  Awaitable<void> linger();
  // The socket, or the TLS stream over it, to `operation`, which reads or writes.
  template <typename Operation>
  auto on_stream(Operation&& operation) {
    return tls_ ? operation(*tls_) : operation(socket_);
  }

  void pump();
  void write_some();
  void on_written(bool failed, std::size_t bytes);
  void finish_exchange(bool delivered);
  void lose_client();

  void set_step_deadline(std::chrono::milliseconds from_now);
  void clear_step_deadline() { step_deadline_ = TimePoint::max(); }
  void arm_timer(TimePoint when);
  void on_timer();

  ServerContext& context_;
  std::shared_ptr<Loop> loop_;
  Socket socket_;
  // Over socket_; null for plain HTTP and before the handshake. Its context is older than it and
  // outlives it.
  std::shared_ptr<boost::asio::ssl::context> tls_context_;
  std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;
  std::string peer_address_;

  std::string input_;  // received and not yet understood
  std::optional<ProtocolError> error_;
  HttpRequest failed_head_;  // what is known of the request that error_ is about
  bool served_one_ = false;
  bool close_after_answer_ = false;

  std::shared_ptr<Exchange> exchange_;  // the running answer, if any
  std::shared_ptr<HandlerJob> job_;     // its request, until a handler takes it
  Exchange::Phase phase_ = Exchange::Phase::kOpen;
  std::string output_;
  std::size_t sent_ = 0;  // bytes of output_
  bool writing_ = false;

  // One timer serves all deadlines. A later deadline does not re-arm it; it is armed again when it
  // fires too early. So a stream of writes costs no timer calls.
  Timer timer_;
  Timer* hang_up_timer_ = nullptr;
  TimePoint armed_for_ = TimePoint::max();
  TimePoint step_deadline_ = TimePoint::max();  // of the coroutine's pending operation
  TimePoint write_deadline_ = TimePoint::max();
  bool timed_out_ = false;
};

}  // namespace fathom::net
