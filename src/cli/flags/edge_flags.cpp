#include "cli/flags/edge_flags.h"

#include <CLI/CLI.hpp>

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

void add_edge_flags(CLI::App& app, EdgeSettings& settings) {
  add_network_flags(app, settings);
  add_access_flags(app, settings);
  add_limits(app, settings);
}

}  // namespace fathom::cli
