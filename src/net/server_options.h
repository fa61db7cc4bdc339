// What a server is started with, and what it counts.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "net/tls.h"

namespace fathom::net {

inline constexpr std::size_t kFreeBodyBytes = 64 * 1024;  // ServerOptions::max_bodies_bytes

struct ServerOptions {
  std::string host = "127.0.0.1";  // IPv4 or IPv6 address, or a name (all its addresses are used)
  int port = 0;                    // 0: any free port, see HttpServer::port()
  int threads = 1;                 // network threads
  int handler_threads = 2;         // for each of the lanes kShort and kHeavy; kQuick has one
  // Requests of kHeavy that wait or run, and their bodies together: 503 beyond.
  std::size_t max_heavy_requests = 256;
  std::size_t max_heavy_bytes = 256 * 1024 * 1024;
  // Connections beyond this are answered 503 and closed.
  std::size_t max_connections = 8192;
  std::size_t max_header_bytes = 64 * 1024;       // request line and headers: 431
  std::size_t max_body_bytes = 32 * 1024 * 1024;  // 413
  // Of all connections together, from the first byte until the handler lets go of the request;
  // what goes beyond is answered 503. The first kFreeBodyBytes of each body do not count, so that
  // large requests never keep out small ones.
  std::size_t max_bodies_bytes = std::size_t{1} << 30;
  std::size_t stream_buffer_bytes = 4 * 1024 * 1024;     // unsent bytes of one stream
  std::chrono::milliseconds header_timeout{15'000};      // first byte to the end of the head: 408
  std::chrono::milliseconds body_timeout{120'000};       // the whole body: 408
  std::chrono::milliseconds idle_timeout{75'000};        // between two requests: closed
  std::chrono::milliseconds write_timeout{60'000};       // without progress in sending: closed
  std::chrono::milliseconds accept_retry_interval{100};  // out of memory
  std::shared_ptr<const TlsIdentity> tls;                // null: plain HTTP
};

struct ServerStats {
  std::int64_t open_connections = 0;
  std::int64_t active_responses = 0;  // handed to the handler, not yet completely sent
  std::uint64_t body_bytes = 0;       // in memory, beyond what does not count
  // Since the start:
  std::uint64_t accepted_connections = 0;
  std::uint64_t refused_connections = 0;  // beyond max_connections or the file descriptors
  std::uint64_t requests = 0;             // handed to the handler
  std::uint64_t clients_gone = 0;         // went away before their answer was complete
  std::uint64_t slow_readers = 0;         // disconnected: send buffer full or write timeout
  std::uint64_t protocol_errors = 0;      // malformed, too large or too slow requests
  std::uint64_t accept_failures = 0;      // accept() failed, for example with EMFILE
};

}  // namespace fathom::net
