// Sockets that accept connections and hand them to the loops in turn.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "base/result.h"
#include "net/reserve_descriptor.h"
#include "net/server_context.h"
#include "net/socket.h"

namespace fathom::net {

class Listener {
 public:
  // Listens on every address of options.host. The accepting itself runs on loops[0].
  static Result<std::unique_ptr<Listener>> open(ServerContext& context,
                                                std::vector<std::shared_ptr<Loop>> loops);

  int port() const { return port_; }
  void start();
  // On the thread of loops[0].
  void close();

 private:
  Listener(ServerContext& context, std::vector<std::shared_ptr<Loop>> loops)
      : context_(context), loops_(std::move(loops)) {}

  Status listen_on(boost::asio::ip::tcp::endpoint endpoint, bool only_address);
  Awaitable<void> accept_forever(Acceptor& acceptor);
  void welcome(std::shared_ptr<Loop> loop, Socket socket);
  // Handles an error of accept(); false: pause before the next accept().
  bool deal_with(Acceptor& acceptor, const boost::system::error_code& error);
  bool refuse_by_reserve(Acceptor& acceptor);
  void send_refusal(int client) const;

  ServerContext& context_;
  std::vector<std::shared_ptr<Loop>> loops_;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::size_t next_loop_ = 0;
  ReserveDescriptor reserve_;
  bool complained_ = false;  // an error was logged since the last client came
  int port_ = 0;
};

}  // namespace fathom::net
