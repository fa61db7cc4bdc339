#include "net/testing/raw_server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

namespace fathom::net {

RawServer::RawServer(std::function<void(RawServer&)> script)
    : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(socket_, 16), 0);
  EXPECT_EQ(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size), 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this, script = std::move(script)] { script(*this); });
}

RawServer::~RawServer() {
  thread_.join();
  ::close(socket_);
}

RawClient RawServer::accept() {
  pollfd state{socket_, POLLIN, 0};
  EXPECT_EQ(::poll(&state, 1, 5000), 1) << "expected a connection";
  return RawClient::accepted(state.revents != 0 ? ::accept(socket_, nullptr, nullptr) : -1);
}

}  // namespace fathom::net
