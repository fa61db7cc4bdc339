#include "net/client/connection.h"

#include <poll.h>

#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <utility>

namespace fathom::net {
namespace {

namespace asio = boost::asio;
namespace ssl = asio::ssl;
using SystemError = boost::system::error_code;
using Clock = Deadline::Clock;

constexpr asio::use_awaitable_t<Executor> kAwait;
constexpr std::size_t kReadBytes = 16 * 1024;

// The share of the remaining time for one of `addresses`.
Deadline share_of(const Deadline& deadline, std::size_t addresses) {
  const auto now = Clock::now();
  if (deadline.at <= now) return deadline;
  return {now + (deadline.at - now) / static_cast<int>(addresses), deadline.given};
}

}  // namespace

ClientConnection::ClientConnection(const Executor& executor, std::string authority)
    : authority_(std::move(authority)), socket_(executor), timer_(executor) {}

Awaitable<Status> ClientConnection::connect(const Endpoints& endpoints, Deadline deadline) {
  SystemError error;
  for (std::size_t i = 0; i < endpoints.size() && !closed_; ++i) {
    cut();
    missed_ = Deadline::none();
    begin(share_of(deadline, endpoints.size() - i));
    co_await socket_.async_connect(endpoints[i], asio::redirect_error(kAwait, error));
    end();
    if (error) continue;
    SystemError ignored;
    socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
    socket_.set_option(asio::socket_base::keep_alive(true), ignored);
    co_return Status();
  }
  co_return failure("connect to", error);
}

Awaitable<Status> ClientConnection::shake_hands(std::shared_ptr<ssl::context> trust,
                                                const std::string& host, Deadline deadline) {
  trust_ = std::move(trust);
  tls_ = std::make_unique<ssl::stream<Socket&>>(socket_, *trust_);
  SystemError error;
  tls_->set_verify_mode(ssl::verify_peer, error);
  tls_->set_verify_callback(ssl::host_name_verification(host), error);
  asio::ip::make_address(host, error);
  const bool is_name = error.failed();  // an address is not told to the server
  if (is_name) SSL_set_tlsext_host_name(tls_->native_handle(), host.c_str());
  error = {};
  begin(deadline);
  co_await tls_->async_handshake(ssl::stream_base::client, asio::redirect_error(kAwait, error));
  end();
  if (!error) co_return Status();
  const long verdict = SSL_get_verify_result(tls_->native_handle());
  if (verdict == X509_V_OK) co_return failure("TLS with", error);
  co_return Error{ErrorCode::kUnavailable, "TLS with " + authority_ +
                                               ": expected a certificate that is trusted, got: " +
                                               X509_verify_cert_error_string(verdict)};
}

void ClientConnection::send(std::string head, std::string body) {
  const auto text = std::make_shared<const std::array<std::string, 2>>(
      std::array<std::string, 2>{std::move(head), std::move(body)});
  const std::array<asio::const_buffer, 2> buffers = {asio::buffer((*text)[0]),
                                                     asio::buffer((*text)[1])};
  sending_ = true;
  may_have_reached_ = true;
  on_stream([&](auto& stream) {
    asio::async_write(
        stream, buffers,
        [self = shared_from_this(), text](const SystemError& error, std::size_t sent) {
          // The reader reports the failure: the server may have answered before.
          self->sending_ = error.failed();
          self->may_have_reached_ = !error || sent > 0;
        });
  });
}

Awaitable<Result<bool>> ClientConnection::receive(std::string& input, Deadline deadline) {
  const std::size_t old_size = input.size();
  input.resize(old_size + kReadBytes);
  begin(deadline);
  SystemError error;
  const std::size_t bytes = co_await on_stream([&](auto& stream) {
    return stream.async_read_some(asio::buffer(input.data() + old_size, kReadBytes),
                                  asio::redirect_error(kAwait, error));
  });
  end();
  input.resize(old_size + bytes);
  if (error == asio::error::eof) co_return false;
  if (error) co_return failure("read from", error);
  co_return true;
}

bool ClientConnection::is_quiet() const {
  if (!socket_.is_open()) return false;
  pollfd state{const_cast<Socket&>(socket_).native_handle(), POLLIN | POLLRDHUP, 0};
  return ::poll(&state, 1, 0) == 0;
}

void ClientConnection::close() {
  closed_ = true;
  cut();
}

void ClientConnection::cut() {
  SystemError ignored;
  socket_.close(ignored);
}

void ClientConnection::begin(const Deadline& deadline) {
  deadline_ = deadline;
  arm_timer();
}

void ClientConnection::arm_timer() {
  if (deadline_.at >= armed_for_) return;
  armed_for_ = deadline_.at;
  timer_.expires_at(armed_for_);
  timer_.async_wait([weak = weak_from_this()](const SystemError& error) {
    if (error) return;
    if (const auto self = weak.lock()) self->on_timer();
  });
}

void ClientConnection::on_timer() {
  armed_for_ = Clock::time_point::max();
  if (deadline_.at > Clock::now()) return arm_timer();
  missed_ = std::exchange(deadline_, Deadline::none());
  cut();
}

Error ClientConnection::failure(const char* what, const SystemError& error) const {
  const bool late = missed_.at != Clock::time_point::max();
  std::string reason = late ? missed_.missed() : error.message();
  if (!reason.empty() && reason[0] >= 'A' && reason[0] <= 'Z') reason[0] += 'a' - 'A';
  return {ErrorCode::kUnavailable, std::string(what) + " " + authority_ + ": " + reason};
}

}  // namespace fathom::net
