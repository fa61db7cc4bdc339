// A client's connection: bytes to a server and back, over TCP or TLS, each step with a deadline.
// Used on its loop's thread only.
#pragma once

#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/client/deadline.h"
#include "net/socket.h"

namespace fathom::net {

using Endpoints = std::vector<boost::asio::ip::tcp::endpoint>;

class ClientConnection : public std::enable_shared_from_this<ClientConnection> {
 public:
  // `authority` names the server in errors: "read from 127.0.0.1:8000: ...".
  ClientConnection(const Executor& executor, std::string authority);

  // Tries one address after the other; `endpoints` has at least one.
  Awaitable<Status> connect(const Endpoints& endpoints, Deadline deadline);
  // The server's certificate has to be for `host`.
  Awaitable<Status> shake_hands(std::shared_ptr<boost::asio::ssl::context> trust,
                                const std::string& host, Deadline deadline);

  // Starts to send both; the answer may be read meanwhile. Not to be called while is_sending().
  void send(std::string head, std::string body);
  bool is_sending() const { return sending_; }
  // Whether the server may have seen any of what send() was given last.
  bool may_have_reached() const { return may_have_reached_; }

  // Appends to `input`; false at the end of the stream. An error if nothing comes until `deadline`.
  Awaitable<Result<bool>> receive(std::string& input, Deadline deadline);

  // Whether the connection is open and has nothing to read, neither bytes nor end of file.
  bool is_quiet() const;

  // Pending operations fail.
  void close();

 private:
  // The socket, or the TLS stream over it, to `operation`, which reads or writes.
  template <typename Operation>
  auto on_stream(Operation&& operation) {
    return tls_ ? operation(*tls_) : operation(socket_);
  }
  void cut();
  void begin(const Deadline& deadline);
  void end() { deadline_ = Deadline::none(); }
  void arm_timer();
  void on_timer();
  Error failure(const char* what, const boost::system::error_code& error) const;

  const std::string authority_;
  Socket socket_;
  std::shared_ptr<boost::asio::ssl::context> trust_;        // older than tls_ and outlives it
  std::unique_ptr<boost::asio::ssl::stream<Socket&>> tls_;  // over socket_; null: plain HTTP

  bool closed_ = false;
  bool sending_ = false;
  bool may_have_reached_ = false;

  // A later deadline does not re-arm the timer; it is armed again when it fires too early. So a
  // stream of reads costs no timer calls.
  Timer timer_;
  Deadline deadline_ = Deadline::none();  // of the pending operation
  Deadline missed_ = Deadline::none();    // the one that was missed
  Deadline::Clock::time_point armed_for_ = Deadline::Clock::time_point::max();
};

}  // namespace fathom::net
