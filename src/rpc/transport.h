// What carries messages between gateways and engines: gRPC in the plug-in libfathom_grpc.so. All
// calls are thread-safe and none waits for a peer; handlers are called on the transport's threads,
// one call at a time for a stream, and return quickly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "rpc/messages.h"

namespace fathom::rpc {

// Files are PEM, read again when they change. Without certificates only addresses of this machine
// are served and called, in plain text. With `authority_file` peers must show a certificate that it
// has signed (mutual TLS); with `secret_file` they must know its first line. Off this machine one
// of the two is needed.
struct Security {
  std::string certificate_file = {};
  std::string key_file = {};
  std::string authority_file = {};
  std::string secret_file = {};
};

// A stream's sending half. What was queued goes out in order.
class Outgoing {
 public:
  virtual ~Outgoing() = default;
  // Ends the stream after what is queued, with a reason that the peer is told; none: in order.
  virtual void end(std::optional<Error> reason) = 0;
};

class ToGateway : public Outgoing {
 public:
  // False where the stream is closed, or where its queue would exceed its bound: then it is closed,
  // for a peer that does not read must not fill this process's memory.
  virtual bool send(const FromEngine& message) = 0;
};

class ToEngineStream : public Outgoing {
 public:
  virtual bool send(const ToEngine& message) = 0;
};

// An engine's end of one gateway's stream.
class GatewayHandler {
 public:
  virtual ~GatewayHandler() = default;
  virtual void message(ToEngine message) = 0;
  virtual void closed(const std::string& reason) = 0;  // once, the last call
};

// A gateway's end of its stream to one engine.
class EngineHandler {
 public:
  virtual ~EngineHandler() = default;
  virtual void message(FromEngine message) = 0;
  virtual void closed(const std::string& reason) = 0;  // once, the last call
};

// Called for each gateway that connects, with what sends to it; gives what hears it.
using AcceptGateway =
    std::function<std::unique_ptr<GatewayHandler>(std::shared_ptr<ToGateway> out)>;
// The path of a file that the manifest names; empty for an unknown digest.
using FindFile = std::function<std::string(const std::string& digest)>;

class Server {
 public:
  virtual ~Server() = default;  // cuts every stream, and returns when no handler runs
  virtual uint16_t port() const = 0;
};

class Transport {
 public:
  virtual ~Transport() = default;

  // `address`: "HOST:PORT", port 0 for any. Errors: kInvalidArgument where security is needed and
  // missing, kIo where the address is taken or a file cannot be read.
  virtual Result<std::unique_ptr<Server>> listen(const std::string& address,
                                                 const Security& security, size_t most_queued_bytes,
                                                 AcceptGateway accept, FindFile find_file) = 0;
  // Tries once; a peer that cannot be reached is closed(). The handler is kept until then.
  virtual Result<std::shared_ptr<ToEngineStream>> connect(
      const std::string& address, const Security& security, size_t most_queued_bytes,
      std::unique_ptr<EngineHandler> handler) = 0;
  // The whole file, at most `most_bytes`. Waits.
  virtual Result<std::string> read_file(const std::string& address, const Security& security,
                                        const std::string& digest, size_t most_bytes) = 0;
};

inline constexpr int kTransportVersion = 1;
inline constexpr const char* kTransportEntry = "fathom_rpc_transport";
// The plug-in's one exported function. Null if it serves another version of this header; the
// plug-in is built with the binary.
using TransportEntry = Transport* (*)(int version);

}  // namespace fathom::rpc
