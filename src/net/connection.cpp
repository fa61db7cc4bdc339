#include "net/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <exception>
#include <new>
#include <utility>

#include "base/log.h"
#include "net/handler_job.h"
#include "net/response_text.h"
#include "net/wake_up.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
using SystemError = boost::system::error_code;

constexpr asio::use_awaitable_t<Executor> kAwait;

// Requests sent ahead while an answer is running.
constexpr std::size_t kMaxPipelinedBytes = 64 * 1024;
// How long the client may take to close after its last answer. Closing first, with input unread,
// would reset the connection, and the answer may be lost.
constexpr std::chrono::milliseconds kLingerTime{2000};

void set_option(int socket, int level, int name, int value) {
  // Only tuning: failure is harmless.
  (void)::setsockopt(socket, level, name, &value, sizeof(value));
}

// Notices peers that vanished without a FIN within about a minute.
void tune(int socket, std::chrono::milliseconds write_timeout) {
  set_option(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  set_option(socket, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_option(socket, IPPROTO_TCP, TCP_KEEPIDLE, 30);
  set_option(socket, IPPROTO_TCP, TCP_KEEPINTVL, 10);
  set_option(socket, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_option(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, static_cast<int>(write_timeout.count()));
}

std::string address_text(const Socket& socket) {
  SystemError error;
  const auto endpoint = socket.remote_endpoint(error);
  if (error) return "";
  const asio::ip::address address = endpoint.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped()) {
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).to_string();
  }
  return address.to_string();
}

bool heavy_lane_has_room(const ServerContext& context, std::size_t body_bytes) {
  return context.heavy_requests < context.options.max_heavy_requests &&
         context.heavy_bytes + body_bytes <= context.options.max_heavy_bytes;
}

}  // namespace

Connection::Connection(ServerContext& context, std::shared_ptr<Loop> loop, Socket socket)
    : context_(context),
      loop_(std::move(loop)),
      socket_(std::move(socket)),
      peer_address_(address_text(socket_)),
      timer_(socket_.get_executor()) {
  ++context_.counters.open_connections;
  tune(socket_.native_handle(), context_.options.write_timeout);
}

Connection::~Connection() {
  --context_.counters.open_connections;
}

void Connection::start(std::shared_ptr<Connection> connection, bool refuse) {
  const Executor executor = connection->socket_.get_executor();
  asio::co_spawn(executor, run(std::move(connection), refuse), [](std::exception_ptr) {});
}

Awaitable<void> Connection::run(std::shared_ptr<Connection> self, bool refuse) {
  Connection& connection = *self;
  connection.loop_->connections.insert(&connection);
  try {
    bool open = true;
    if (connection.context_.options.tls) open = !refuse && co_await connection.shake_hands();
    if (refuse && open) connection.fail(503, "too many connections");
    while (open && !connection.context_.stopping && !connection.error_) {
      const bool again = co_await connection.serve_request();
      if (!again) break;
    }
    if (connection.error_) co_await connection.send_error();
  } catch (const std::exception& error) {
    log_error("net: connection of {} ended: {}", connection.peer_address_, error.what());
  }
  connection.loop_->connections.erase(&connection);
  connection.abort();
}

bool Connection::fail(int status, std::string message) {
  error_ = ProtocolError{status, std::move(message)};
  return false;
}

Awaitable<bool> Connection::serve_request() {
  RequestHead head;
  const bool head_read = co_await read_head(head);
  if (!head_read) co_return false;
  if (context_.refusing) {
    failed_head_ = std::move(head.request);
    co_return fail(503, "the server is shutting down");
  }
  if (auto answer = context_.app->early_answer(head.request)) {
    co_return co_await answer_early(head, std::move(*answer));
  }
  if (!context_.app->takes_body(head.request)) {
    head.keep_alive = head.keep_alive && !head.chunked && head.content_length == 0;
  } else {
    const bool body_read = co_await read_body(head);
    if (!body_read) {
      head.request.body = {};
      head.request.body_share = nullptr;
      if (!error_) context_.app->client_left(head.request);
      failed_head_ = std::move(head.request);
      co_return false;
    }
  }
  clear_step_deadline();
  if (input_.capacity() > kBodyReadBytes) std::string(input_).swap(input_);

  dispatch(std::move(head));
  co_await watch_until_answered();
  served_one_ = true;
  if (!socket_.is_open()) co_return false;
  if (close_after_answer_) co_await linger();
  co_return !close_after_answer_;
}

// The connection is kept only if no body follows, for a refused body is not read.
Awaitable<bool> Connection::answer_early(const RequestHead& head, HttpResponse response) {
  HeadOptions options;
  options.is_http_1_0 = head.is_http_1_0;
  options.keep_alive = head.keep_alive && !head.chunked && head.content_length == 0;
  std::string text = render_response_head(response, options);
  if (status_has_body(response.status) && head.request.method != Method::kHead) {
    text += response.body;
  }
  set_step_deadline(context_.options.write_timeout);
  const bool sent = co_await send_text(std::move(text));
  served_one_ = true;
  if (sent && !options.keep_alive) co_await linger();
  co_return sent&& options.keep_alive;
}

Awaitable<bool> Connection::send_text(std::string text) {
  SystemError error;
  co_await on_stream([&](auto& stream) {
    return asio::async_write(stream, asio::buffer(text), asio::redirect_error(kAwait, error));
  });
  co_return !error && !timed_out_;
}

void Connection::dispatch(RequestHead head) {
  ExchangeOptions options;
  options.is_head_request = head.request.method == Method::kHead;
  options.is_http_1_0 = head.is_http_1_0;
  options.keep_alive = head.keep_alive;
  options.stream_buffer_bytes = context_.options.stream_buffer_bytes;
  options.error_response = [app = context_.app, path = head.request.path](
                               int status, const std::string& message) {
    HttpRequest known;
    known.path = path;
    return app->protocol_error(status, message, known);
  };
  // Owns the loop but not the connection, which must be destroyed on the loop's thread.
  options.wake = [loop = loop_, weak = weak_from_this(), memory = std::make_shared<WakeMemory>()] {
    post_wake_up(*loop, memory, [weak] {
      if (const auto self = weak.lock()) self->pump();
    });
  };
  options.extra_headers = context_.app->response_headers(head.request);
  head.request.peer_address = peer_address_;
  exchange_ = std::make_shared<Exchange>(std::move(options));
  context_.active.begin();
  ++context_.counters.requests;
  auto writer = make_response_writer(exchange_);
  const Lane lane = context_.app->lane(head.request);
  if (lane == Lane::kHeavy && !heavy_lane_has_room(context_, head.request.body.size())) {
    return writer->send(context_.app->protocol_error(
        503, "too much is being prepared for the model; try again later", head.request));
  }
  job_ = std::make_shared<HandlerJob>(context_, lane, std::move(head.request), std::move(writer));
  asio::post(context_.handlers(lane), [job = job_] { job->run(); });
}

Awaitable<void> Connection::watch_until_answered() {
  while (exchange_) {
    if (input_.size() >= kMaxPipelinedBytes) {
      co_await poll_for_hang_up();
      continue;
    }
    const bool received = co_await receive(kHeadReadBytes);
    // finish_exchange() interrupts the read when the answer is complete.
    if (!received && exchange_) lose_client();
  }
}

Awaitable<void> Connection::send_error() {
  if (error_->status != 503) ++context_.counters.protocol_errors;
  set_step_deadline(context_.options.write_timeout);
  const bool sent = co_await send_text(render_final_response(
      context_.app->protocol_error(error_->status, error_->message, failed_head_)));
  if (sent) co_await linger();
}

Awaitable<void> Connection::linger() {
  SystemError ignored;
  if (tls_) {
    set_step_deadline(kLingerTime);
    co_await tls_->async_shutdown(asio::redirect_error(kAwait, ignored));
    ignored = {};
    tls_ = nullptr;  // further input is ignored
  }
  socket_.shutdown(Socket::shutdown_send, ignored);
  set_step_deadline(kLingerTime);
  bool open = !ignored;
  while (open) {
    input_.clear();
    open = co_await receive(kHeadReadBytes);
  }
}

void Connection::pump() {
  if (!exchange_) return;
  if (exchange_->broken()) {
    if (exchange_->slow_reader()) ++context_.counters.slow_readers;
    return lose_client();
  }
  if (writing_) return;
  phase_ = exchange_->take(output_);
  if (output_.empty()) {
    if (phase_ == Exchange::Phase::kComplete) return finish_exchange(true);
    return arm_timer(exchange_->keep_alive_due());
  }
  writing_ = true;
  sent_ = 0;
  write_some();
}

// Without memory for the operation the connection ends: nothing else would resume it.
void Connection::write_some() try {
  write_deadline_ = Clock::now() + context_.options.write_timeout;
  arm_timer(write_deadline_);
  on_stream([this](auto& stream) {
    stream.async_write_some(
        asio::buffer(output_.data() + sent_, output_.size() - sent_),
        [self = shared_from_this()](const SystemError& error, std::size_t bytes) {
          self->on_written(error.failed(), bytes);
        });
  });
} catch (const std::bad_alloc&) {
  lose_client();
}

void Connection::on_written(bool failed, std::size_t bytes) {
  writing_ = false;
  write_deadline_ = TimePoint::max();
  if (!exchange_) return;
  if (failed) return lose_client();
  sent_ += bytes;
  if (sent_ < output_.size()) {
    writing_ = true;
    return write_some();
  }
  if (phase_ == Exchange::Phase::kComplete) return finish_exchange(true);
  pump();
}

void Connection::finish_exchange(bool delivered) {
  const std::shared_ptr<Exchange> exchange = std::exchange(exchange_, nullptr);
  close_after_answer_ = exchange->close_after();
  // A write that is being cancelled still points into it.
  if (!writing_) output_ = {};
  exchange->finish(delivered);
  if (job_ && !delivered) job_->drop();
  job_ = nullptr;
  context_.active.end();
  // Resumes watch_until_answered().
  SystemError ignored;
  socket_.cancel(ignored);
  if (hang_up_timer_) hang_up_timer_->cancel();
}

void Connection::lose_client() {
  ++context_.counters.clients_gone;
  abort();
}

void Connection::abort() {
  timer_.cancel();
  if (exchange_) finish_exchange(false);
  SystemError ignored;
  socket_.close(ignored);
}

void Connection::set_step_deadline(std::chrono::milliseconds from_now) {
  timed_out_ = false;
  step_deadline_ = Clock::now() + from_now;
  arm_timer(step_deadline_);
}

void Connection::arm_timer(TimePoint when) {
  if (when >= armed_for_ || !socket_.is_open()) return;
  armed_for_ = when;
  timer_.expires_at(when);
  timer_.async_wait([weak = weak_from_this()](const SystemError& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void Connection::on_timer() {
  armed_for_ = TimePoint::max();
  const TimePoint now = Clock::now();
  if (write_deadline_ <= now) {
    ++context_.counters.slow_readers;
    return lose_client();
  }
  if (step_deadline_ <= now) {
    clear_step_deadline();
    timed_out_ = true;
    SystemError ignored;
    socket_.cancel(ignored);
  }
  TimePoint keep_alive_due = TimePoint::max();
  if (exchange_) {
    exchange_->queue_keep_alive(now);
    keep_alive_due = exchange_->keep_alive_due();
    pump();
  }
  arm_timer(std::min({step_deadline_, write_deadline_, keep_alive_due}));
}

}  // namespace fathom::net
