// A server that does what a test tells it, byte by byte.
#pragma once

#include <functional>
#include <thread>

#include "net/testing/test_server.h"

namespace fathom::net {

class RawServer {
 public:
  // Listens on 127.0.0.1 and runs `script` on a thread of its own.
  explicit RawServer(std::function<void(RawServer&)> script);
  // Waits for the script's end.
  ~RawServer();
  RawServer(const RawServer&) = delete;

  int port() const { return port_; }
  // The next connection; a failure of the test if none comes within 5 s.
  RawClient accept();

 private:
  int socket_;
  int port_;
  std::thread thread_;
};

}  // namespace fathom::net
