// The network edge of a server: who may ask, over which protocol, and within which limits.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http_server.h"

namespace fathom::cli {

inline constexpr int64_t kDefaultConnections = 8192;

struct EdgeSettings {
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string api_keys;                    // file; "": everyone may ask
  bool share_prefix_cache = false;         // among the owners of keys
  bool insecure_public = false;            // without keys, even where others can reach the port
  std::vector<std::string> cors_origins;   // "*": all
  std::vector<std::string> allowed_hosts;  // further names that requests may be sent to
  std::string tls_certificate;             // PEM files; "": plain HTTP
  std::string tls_key;
  int64_t max_body_mib = 32;
  int64_t max_header_kib = 64;
  int64_t max_bodies_mib = 1024;                // of all requests together
  std::optional<int64_t> max_connections = {};  // none: kDefaultConnections, or as many as fit
  int64_t header_seconds = 15;
  int64_t body_seconds = 120;
  int64_t idle_seconds = 75;
  int64_t write_seconds = 60;
  int network_threads = 1;
};

// Whether the settings fit together; the error names the flag. A host that others can reach needs
// keys or --insecure-public.
Status check_edge(const EdgeSettings& settings);

// How many connections there can be with so many file descriptors in all: as many as the settings
// say. Where they say nothing, fewer than the default if need be; where they say more than fit, the
// error names the flag and how to raise the limit.
Result<int64_t> connections_that_fit(const EdgeSettings& settings, int64_t descriptors);

// Which requests are answered by the Host they name (api::EdgeOptions): on an address that only
// this machine reaches, without keys, or where --allowed-host says so.
bool checks_host(const EdgeSettings& settings);
std::vector<std::string> known_hosts(const EdgeSettings& settings);

// The limits among them.
net::ServerOptions server_options(const EdgeSettings& settings);

}  // namespace fathom::cli
