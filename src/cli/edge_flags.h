// How a server meets the world: who may ask, over what, and how much and how long.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/http_server.h"

namespace fathom::cli {

struct EdgeSettings {
  std::string host = "127.0.0.1";
  int port = 8000;
  std::string api_keys;                   // file; "": everyone may ask
  bool insecure_public = false;           // without keys, even where others can reach the port
  std::vector<std::string> cors_origins;  // "*": all
  std::string tls_certificate;            // PEM files; "": plain HTTP
  std::string tls_key;
  int64_t max_body_mib = 32;
  int64_t max_header_kib = 64;
  int64_t max_connections = 8192;
  int64_t header_seconds = 15;
  int64_t body_seconds = 120;
  int64_t idle_seconds = 75;
  int64_t write_seconds = 60;
  int network_threads = 1;
};

void add_edge_flags(CLI::App& app, EdgeSettings& settings);

// Whether only this machine can reach it.
bool is_loopback(const std::string& host);

// Whether the settings fit together; the error names the flag. A host that others can reach needs
// keys or --insecure-public.
Status check_edge(const EdgeSettings& settings);

// The limits among them.
net::ServerOptions server_options(const EdgeSettings& settings);

}  // namespace fathom::cli
