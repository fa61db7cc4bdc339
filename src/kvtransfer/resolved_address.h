// What the system's resolver finds for an address.
#pragma once

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <cstring>
#include <string>

#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {

class ResolvedAddress {
 public:
  static Result<ResolvedAddress> of(const Address& address) {
    addrinfo hints = {};
    hints.ai_flags = AI_NUMERICSERV;
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const int code =
        getaddrinfo(address.host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
    if (code != 0) {
      return Error{ErrorCode::kIo,
                   fmt::format("{}: expected a host, got: {}", address.text(), gai_strerror(code))};
    }
    ResolvedAddress resolved;
    resolved.size_ = found->ai_addrlen;
    std::memcpy(&resolved.storage_, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    return resolved;
  }

  const sockaddr* data() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t size() const { return size_; }

 private:
  sockaddr_storage storage_ = {};
  socklen_t size_ = 0;
};

}  // namespace fathom::kvtransfer
