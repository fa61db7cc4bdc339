// What carries messages between engines: UCX in the plug-in libfathom_ucx.so (ucx_transport.cpp),
// memory in unit tests. One thread calls everything but wake(). A message arrives whole or not at
// all; a long one may be overtaken by a short one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace fathom::kvtransfer {

using PeerId = uint64_t;  // never used again

// "127.0.0.1:7000", "[::1]:7000", "node3:7000".
struct Address {
  std::string host;
  uint16_t port = 0;

  std::string text() const;
  // `what` begins the error's message.
  static Result<Address> parse(const std::string& text, const std::string& what);
};

class TransportHandler {
 public:
  virtual ~TransportHandler() = default;
  virtual void message(PeerId peer, std::vector<std::byte> bytes) = 0;
  // Once, unless this side has closed.
  virtual void lost(PeerId peer, const std::string& reason) = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Whoever connects is a peer from its first message on. Returns the port, chosen where it is 0.
  virtual Result<uint16_t> listen(const Address& address) = 0;
  // Does not wait: a peer that cannot be reached is lost later.
  virtual Result<PeerId> connect(const Address& address) = 0;
  // Nothing happens where the peer is lost.
  virtual void send(PeerId peer, std::vector<std::byte> bytes) = 0;
  // At once; what was not sent yet is not.
  virtual void close(PeerId peer) = 0;

  // Calls the handler with what has happened. Whether anything has.
  virtual bool progress(TransportHandler& handler) = 0;
  // Sleeps until something may have happened or somebody calls wake().
  virtual void wait(std::chrono::milliseconds most) = 0;
  virtual void wake() = 0;
};

inline constexpr int kTransportVersion = 1;
inline constexpr const char* kTransportEntry = "fathom_kv_transport";
// The plug-in's one exported function. Longer messages than max_message bytes are refused, and the
// peer with them. Null if it serves another version of this header; the plug-in is built with the
// binary.
using TransportEntry = Result<std::unique_ptr<Transport>>* (*)(int version, size_t max_message);

}  // namespace fathom::kvtransfer
