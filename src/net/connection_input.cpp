// The reading half of Connection: the TLS handshake, a request's head and body, end of file.
#include <poll.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "net/chunked.h"
#include "net/connection.h"
#include "net/head_scanner.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
using SystemError = boost::system::error_code;

constexpr asio::use_awaitable_t<Executor> kAwait;

constexpr std::chrono::milliseconds kHangUpPollInterval{50};

}  // namespace

// A peer that speaks no TLS, or an old version, gets no further explanation.
Awaitable<bool> Connection::shake_hands() {
  tls_context_ = context_.options.tls->context();
  auto stream = std::make_unique<asio::ssl::stream<Socket&>>(socket_, *tls_context_);
  set_step_deadline(context_.options.header_timeout);
  SystemError error;
  co_await stream->async_handshake(asio::ssl::stream_base::server,
                                   asio::redirect_error(kAwait, error));
  clear_step_deadline();
  if (error || timed_out_) {
    ++context_.counters.protocol_errors;
    co_return false;
  }
  tls_ = std::move(stream);
  co_return true;
}

Awaitable<bool> Connection::read_head(RequestHead& head) {
  const bool read = co_await read_head_text(head);
  if (error_) failed_head_ = glimpse_request(input_);
  co_return read;
}

Awaitable<bool> Connection::read_head_text(RequestHead& head) {
  const ServerOptions& options = context_.options;
  HeadScanner scanner;
  // A new connection must send at once; a kept one may stay idle.
  set_step_deadline(served_one_ && input_.empty() ? options.idle_timeout : options.header_timeout);
  while (true) {
    const HeadScanner::Outcome outcome = scanner.scan(input_);
    if (outcome == HeadScanner::Outcome::kMalformed) {
      co_return fail(400, "malformed HTTP request: stray line end or control character");
    }
    const bool complete = outcome == HeadScanner::Outcome::kComplete;
    if ((complete ? scanner.end() : input_.size()) > options.max_header_bytes) {
      co_return fail(431, "request line and headers: expected at most " +
                              std::to_string(options.max_header_bytes) + " bytes");
    }
    if (complete) break;
    const bool was_empty = input_.empty();
    const bool received = co_await receive(kHeadReadBytes);
    if (!received) {
      if (timed_out_ && !input_.empty()) fail(408, "request headers took too long to arrive");
      co_return false;
    }
    if (was_empty) set_step_deadline(options.header_timeout);
  }
  if (auto error = parse_request_head(scanner.head(input_), head)) {
    co_return fail(error->status, std::move(error->message));
  }
  input_.erase(0, scanner.end());
  head.request.received = Clock::now();
  co_return true;
}

Awaitable<bool> Connection::read_body(RequestHead& head) {
  if (head.content_length > context_.options.max_body_bytes) {
    co_return fail(413, "request body: expected at most " +
                            std::to_string(context_.options.max_body_bytes) + " bytes, got " +
                            std::to_string(head.content_length));
  }
  if (!head.chunked && head.content_length == 0) co_return true;
  set_step_deadline(context_.options.body_timeout);
  if (head.expects_continue && input_.empty()) {
    const bool sent = co_await send_text("HTTP/1.1 100 Continue\r\n\r\n");
    if (!sent) co_return false;
  }
  std::string& body = head.request.body;
  auto share = std::make_shared<ByteShare>(context_.bodies);
  head.request.body_share = share;
  bool read = false;
  if (head.chunked) {
    read = co_await read_chunked_body(body, *share);
  } else {
    read = co_await read_sized_body(head.content_length, body, *share);
  }
  if (!read && timed_out_) fail(408, "request body took too long to arrive");
  co_return read;
}

// Counts the string's capacity, which may be twice its size while it grows.
bool Connection::has_room(const std::string& body, ByteShare& share) {
  if (body.capacity() <= kFreeBodyBytes || share.grow_to(body.capacity() - kFreeBodyBytes)) {
    return true;
  }
  return fail(503, "request bodies: expected at most " + std::to_string(context_.bodies->limit()) +
                       " bytes of all requests together, got more");
}

Awaitable<bool> Connection::read_sized_body(std::size_t size, std::string& body, ByteShare& share) {
  // Content-Length is only a claim, so it reserves no more than this.
  body.reserve(std::min(size, kFreeBodyBytes));
  while (true) {
    const std::size_t bytes = std::min(size - body.size(), input_.size());
    body.append(input_, 0, bytes);
    input_.erase(0, bytes);
    if (!has_room(body, share)) co_return false;
    if (body.size() == size) co_return true;
    const bool received = co_await receive(kBodyReadBytes);
    if (!received) co_return false;
  }
}

Awaitable<bool> Connection::read_chunked_body(std::string& body, ByteShare& share) {
  ChunkedDecoder decoder(context_.options.max_body_bytes);
  while (true) {
    std::string_view rest = input_;
    const ChunkedDecoder::Outcome outcome = decoder.feed(rest, body);
    input_.erase(0, input_.size() - rest.size());
    if (!has_room(body, share)) co_return false;
    switch (outcome) {
      case ChunkedDecoder::Outcome::kDone:
        co_return true;
      case ChunkedDecoder::Outcome::kMalformed:
        co_return fail(400, "request body: malformed chunked coding");
      case ChunkedDecoder::Outcome::kTooLarge:
        co_return fail(413, "request body: expected at most " +
                                std::to_string(context_.options.max_body_bytes) + " bytes");
      case ChunkedDecoder::Outcome::kNeedMore:
        break;
    }
    const bool received = co_await receive(kBodyReadBytes);
    if (!received) co_return false;
  }
}

Awaitable<bool> Connection::receive(std::size_t max_bytes) {
  const std::size_t old_size = input_.size();
  input_.resize(old_size + max_bytes);
  SystemError error;
  const std::size_t bytes = co_await on_stream([&](auto& stream) {
    return stream.async_read_some(asio::buffer(input_.data() + old_size, max_bytes),
                                  asio::redirect_error(kAwait, error));
  });
  input_.resize(old_size + bytes);
  co_return !error && !timed_out_;
}

// Without room to read into, end of file is only visible to poll().
Awaitable<void> Connection::poll_for_hang_up() {
  Timer pause(socket_.get_executor(), kHangUpPollInterval);
  hang_up_timer_ = &pause;
  SystemError error;
  co_await pause.async_wait(asio::redirect_error(kAwait, error));
  hang_up_timer_ = nullptr;
  if (!exchange_) co_return;
  pollfd state{socket_.native_handle(), POLLRDHUP, 0};
  if (::poll(&state, 1, 0) > 0) lose_client();
}

}  // namespace fathom::net
