#include "cli/serve/edge_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "base/loopback.h"

namespace fathom::cli {
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
