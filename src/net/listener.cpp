#include "net/listener.h"

#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cctype>
#include <exception>
#include <new>
#include <utility>

#include "base/log.h"
#include "net/connection.h"
#include "net/url.h"

namespace fathom::net {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using SystemError = boost::system::error_code;

constexpr asio::use_awaitable_t<Executor> kAwait;

// How many connections beyond max_connections get a 503 at a time; others are closed at once.
constexpr std::int64_t kMaxRefusals = 64;

std::string hint_for(const SystemError& error) {
  if (error == asio::error::address_in_use) return "; choose another with --port";
  if (error == asio::error::access_denied) return "; choose one above 1023 with --port";
  return "; choose an address of this machine with --host";
}

Error listen_error(const std::string& host, int port, const SystemError& error) {
  std::string reason = error.message();
  reason[0] = static_cast<char>(std::tolower(static_cast<unsigned char>(reason[0])));
  const Url where{"", host, port, "/"};
  return {ErrorCode::kIo, "listen on " + where.authority() + ": " + reason + hint_for(error)};
}

// "[::1]" and "::1" mean the same.
std::string without_brackets(const std::string& host) {
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  return bracketed ? host.substr(1, host.size() - 2) : host;
}

}  // namespace

Result<std::unique_ptr<Listener>> Listener::open(ServerContext& context,
                                                 std::vector<std::shared_ptr<Loop>> loops) {
  const std::string host = without_brackets(context.options.host);
  std::unique_ptr<Listener> listener(new Listener(context, std::move(loops)));
  listener->port_ = context.options.port;
  SystemError error;
  tcp::resolver resolver(listener->loops_[0]->io);
  const auto found =
      resolver.resolve(host, std::to_string(context.options.port), tcp::resolver::passive, error);
  if (error) return listen_error(host, context.options.port, error);

  Status last = listen_error(host, context.options.port, asio::error::host_not_found);
  for (const auto& entry : found) {
    last = listener->listen_on(entry.endpoint(), found.size() == 1);
    // A name may have an address of a family this machine lacks, but a port that is taken on one
    // of its addresses would surprise.
    if (!last && last.error().code != ErrorCode::kUnsupported) return last.error();
  }
  if (listener->acceptors_.empty()) return last.error();
  return listener;
}

Status Listener::listen_on(tcp::endpoint endpoint, bool only_address) {
  endpoint.port(static_cast<unsigned short>(port_));
  auto acceptor = std::make_unique<Acceptor>(loops_[0]->io.get_executor());
  SystemError error;
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(asio::socket_base::reuse_address(true), error);
  if (!error && endpoint.protocol() == tcp::v6()) {
    acceptor->set_option(asio::ip::v6_only(!only_address), error);
  }
  if (!error) acceptor->bind(endpoint, error);
  if (!error) acceptor->listen(asio::socket_base::max_listen_connections, error);
  if (!error) acceptor->non_blocking(true, error);
  if (error) {
    Error failure = listen_error(endpoint.address().to_string(), port_, error);
    if (error == asio::error::address_family_not_supported ||
        error == boost::system::errc::address_not_available) {
      failure.code = ErrorCode::kUnsupported;
    }
    return failure;
  }
  port_ = acceptor->local_endpoint().port();
  acceptors_.push_back(std::move(acceptor));
  return {};
}

void Listener::start() {
  for (const auto& acceptor : acceptors_) {
    asio::co_spawn(acceptor->get_executor(), accept_forever(*acceptor), asio::detached);
  }
}

void Listener::close() {
  for (const auto& acceptor : acceptors_) {
    SystemError ignored;
    acceptor->close(ignored);
  }
}

Awaitable<void> Listener::accept_forever(Acceptor& acceptor) {
  Timer pause(acceptor.get_executor());
  bool rests = false;
  while (acceptor.is_open()) {
    try {
      SystemError error;
      if (std::exchange(rests, false)) {
        pause.expires_after(context_.options.accept_retry_interval);
        co_await pause.async_wait(asio::redirect_error(kAwait, error));
      }
      const std::shared_ptr<Loop> loop = loops_[next_loop_];
      Socket socket(loop->io.get_executor());
      // Without a descriptor to spare accept fails whether or not a client is there: trying before
      // one is would never rest.
      co_await acceptor.async_wait(Acceptor::wait_read, asio::redirect_error(kAwait, error));
      if (!error) acceptor.accept(socket, error);
      if (error == asio::error::would_block) continue;  // the client has left
      if (!error) {
        complained_ = false;
        next_loop_ = (next_loop_ + 1) % loops_.size();
        reserve_.keep();
        welcome(loop, std::move(socket));
      } else if (acceptor.is_open()) {
        ++context_.counters.accept_failures;
        rests = !deal_with(acceptor, error);
      }
    } catch (const std::exception& error) {  // no memory for one more
      log_warning("net: a connection was not served: {}", error.what());
      rests = true;
    }
  }
}

bool Listener::deal_with(Acceptor& acceptor, const SystemError& error) {
  if (error == asio::error::connection_aborted) return true;
  const bool no_descriptors = error == asio::error::no_descriptors ||
                              error == boost::system::errc::too_many_files_open_in_system;
  if (!std::exchange(complained_, true)) {
    log_warning("net: accept: {}; {}", error.message(),
                no_descriptors ? "clients get 503 until others leave" : "trying again");
  }
  return no_descriptors && refuse_by_reserve(acceptor);
}

// Answers 503 to the next client in the kernel's queue, which would otherwise wait there until
// another client leaves.
bool Listener::refuse_by_reserve(Acceptor& acceptor) {
  reserve_.release();
  const int client =
      ::accept4(acceptor.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (client >= 0) {
    try {
      if (!context_.options.tls) send_refusal(client);
    } catch (const std::bad_alloc&) {  // then it is closed without an answer
    }
    ::close(client);
  }
  const bool kept = reserve_.keep();
  if (client >= 0) ++context_.counters.refused_connections;
  return kept;
}

void Listener::send_refusal(int client) const {
  const std::string text = render_final_response(
      context_.app->protocol_error(503, "out of file descriptors: too many connections", {}));
  // Closing a socket with unread input resets the connection, and the answer may be lost.
  char request[4096];
  (void)::recv(client, request, sizeof(request), 0);
  (void)::send(client, text.data(), text.size(), MSG_NOSIGNAL);
  (void)::shutdown(client, SHUT_WR);
}

void Listener::welcome(std::shared_ptr<Loop> loop, Socket socket) {
  Counters& counters = context_.counters;
  ++counters.accepted_connections;
  const auto limit = static_cast<std::int64_t>(context_.options.max_connections);
  const bool refuse = counters.open_connections >= limit;
  if (refuse) {
    ++counters.refused_connections;
    if (counters.open_connections >= limit + kMaxRefusals) return;
  }
  Connection::start(std::make_shared<Connection>(context_, std::move(loop), std::move(socket)),
                    refuse);
}

}  // namespace fathom::net
