#include "cli/serve/edge_settings.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>

#include "cli/flags/checks.h"
#include "cli/flags/help.h"

namespace fathom::cli {
namespace {

constexpr int64_t kLongestSeconds = 86'400;

void add_network_flags(CLI::App& app, EdgeSettings& settings) {
  app.option_defaults()->group(kNetworkGroup);
  app.add_option("--host", settings.host, "address to listen on")
      ->option_text("ADDRESS")
      ->capture_default_str();
  app.add_option("--port", settings.port, "port to listen on; 0: any free one")
      ->transform(whole_number(0, 65535))
      ->capture_default_str();
  app.add_option("--tls-cert", settings.tls_certificate,
                 "PEM file of the certificate and its chain: serve HTTPS")
      ->option_text("FILE");
  app.add_option("--tls-key", settings.tls_key, "PEM file of the certificate's private key")
      ->option_text("FILE");
  app.add_option("--network-threads", settings.network_threads, "threads that serve connections")
      ->transform(whole_number(1, 64))
      ->capture_default_str();
}

void add_access_flags(CLI::App& app, EdgeSettings& settings) {
  app.option_defaults()->group(kAccessGroup);
  app.add_option("--api-keys", settings.api_keys,
                 "file of keys that requests must carry, one a line (docs/security.md)")
      ->option_text("FILE");
  app.add_flag("--insecure-public", settings.insecure_public,
               "listen where others can reach the server although it asks for no key");
  app.add_option("--cors-origin", settings.cors_origins,
                 "origins whose pages may use the API; *: all")
      ->option_text("ORIGIN,...")
      ->delimiter(',');
  app.add_option("--allowed-host", settings.allowed_hosts,
                 "further names that requests may be sent to, as a proxy passes them on")
      ->option_text("NAME,...")
      ->delimiter(',');
  app.add_flag("--share-prefix-cache", settings.share_prefix_cache,
               "find what other owners' prompts left in the prefix cache: faster, but tells how "
               "those begin");
}

void add_limits(CLI::App& app, EdgeSettings& settings) {
  app.option_defaults()->group(kLimitsGroup);
  const auto limit = [&app](const char* name, int64_t& value, const char* unit, const char* help,
                            int64_t most) {
    app.add_option(name, value, help)
        ->option_text(unit)
        ->transform(whole_number(1, most))
        ->capture_default_str();
  };
  limit("--max-body", settings.max_body_mib, "MIB", "size of a request's body", 4096);
  limit("--max-bodies", settings.max_bodies_mib, "MIB", "of all bodies together; then 503",
        1 << 20);
  limit("--max-header", settings.max_header_kib, "KIB", "size of a request's line and headers",
        1024);
  app.add_option("--max-connections", settings.max_connections,
                 "at a time, then 503; default: 8192, or fewer where file descriptors are short")
      ->transform(whole_number(1, 1 << 20));
  limit("--header-timeout", settings.header_seconds, "SECONDS", "for a request's headers",
        kLongestSeconds);
  limit("--body-timeout", settings.body_seconds, "SECONDS", "for a request's body",
        kLongestSeconds);
  limit("--idle-timeout", settings.idle_seconds, "SECONDS", "that a connection may rest",
        kLongestSeconds);
  limit("--write-timeout", settings.write_seconds, "SECONDS", "that a client may read nothing",
        kLongestSeconds);
}

}  // namespace

bool is_loopback(const std::string& host) {
  if (host == "localhost") return true;
  const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  const std::string address = bracketed ? host.substr(1, host.size() - 2) : host;
  in_addr v4 = {};
  if (inet_pton(AF_INET, address.c_str(), &v4) == 1) return (ntohl(v4.s_addr) >> 24) == 127;
  in6_addr v6 = {};
  return inet_pton(AF_INET6, address.c_str(), &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

void add_edge_flags(CLI::App& app, EdgeSettings& settings) {
  add_network_flags(app, settings);
  add_access_flags(app, settings);
  add_limits(app, settings);
}

Status check_edge(const EdgeSettings& settings) {
  // A body that grows takes up to twice its bytes.
  if (settings.max_bodies_mib < 2 * settings.max_body_mib) {
    return invalid_argument(
        fmt::format("--max-bodies {}: expected at least twice --max-body, which is {}",
                    settings.max_bodies_mib, settings.max_body_mib),
        "--max-bodies");
  }
  if (settings.tls_certificate.empty() != settings.tls_key.empty()) {
    return invalid_argument("serve: expected --tls-cert and --tls-key together, got one of them");
  }
  if (is_loopback(settings.host) || !settings.api_keys.empty() || settings.insecure_public) {
    return {};
  }
  return invalid_argument(
      fmt::format("--host {}: expected --api-keys FILE, for others can reach the server there, got "
                  "none; --insecure-public serves without keys",
                  settings.host),
      "--host");
}

Result<int64_t> connections_that_fit(const EdgeSettings& settings, int64_t descriptors) {
  // Weights, threads' event loops, clients that are being refused, other ranks and engines.
  constexpr int64_t kOtherDescriptors = 256;
  const int64_t most = std::max<int64_t>(1, descriptors - kOtherDescriptors);
  if (!settings.max_connections) return std::min(kDefaultConnections, most);
  if (*settings.max_connections <= most) return *settings.max_connections;
  return invalid_argument(
      fmt::format("--max-connections {}: expected at most {}, for the process may have {} file "
                  "descriptors; raise the hard limit (ulimit -Hn, LimitNOFILE=)",
                  *settings.max_connections, most, descriptors),
      "--max-connections");
}

bool checks_host(const EdgeSettings& settings) {
  return !settings.allowed_hosts.empty() ||
         (settings.api_keys.empty() && is_loopback(settings.host));
}

std::vector<std::string> known_hosts(const EdgeSettings& settings) {
  std::vector<std::string> hosts = settings.allowed_hosts;
  const bool bare_v6 = settings.host.find(':') != std::string::npos && settings.host[0] != '[';
  hosts.push_back(bare_v6 ? "[" + settings.host + "]" : settings.host);
  return hosts;
}

net::ServerOptions server_options(const EdgeSettings& settings) {
  net::ServerOptions options;
  options.host = settings.host;
  options.port = settings.port;
  options.threads = settings.network_threads;
  options.max_connections =
      static_cast<size_t>(settings.max_connections.value_or(kDefaultConnections));
  options.max_bodies_bytes = static_cast<size_t>(settings.max_bodies_mib) << 20;
  options.max_body_bytes = static_cast<size_t>(settings.max_body_mib) << 20;
  options.max_header_bytes = static_cast<size_t>(settings.max_header_kib) << 10;
  options.header_timeout = std::chrono::seconds(settings.header_seconds);
  options.body_timeout = std::chrono::seconds(settings.body_seconds);
  options.idle_timeout = std::chrono::seconds(settings.idle_seconds);
  options.write_timeout = std::chrono::seconds(settings.write_seconds);
  return options;
}

}  // namespace fathom::cli
