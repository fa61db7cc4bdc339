#include "net/url.h"

#include <algorithm>
#include <charconv>

namespace fathom::net {
namespace {

Error url_error(std::string_view text, std::string_view expected) {
  return invalid_argument("url \"" + std::string(text) + "\": expected " + std::string(expected));
}

bool is_url_character(char c) {
  return c > ' ' && c < 0x7f;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_';
}

bool is_ipv6_character(char c) {
  return (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || (c >= '0' && c <= '9') || c == ':' ||
         c == '.';
}

bool parse_port(std::string_view text, int& port) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc() && end == text.data() + text.size() && port >= 1 && port <= 65535;
}

// Splits "host:port" or "[v6]:port" into url.host and `port_text`; false if malformed.
bool split_authority(std::string_view authority, Url& url, std::string_view& port_text) {
  const bool bracketed = authority.starts_with('[');
  const std::size_t host_end = bracketed ? authority.find(']') : authority.find(':');
  if (bracketed && host_end == std::string_view::npos) return false;
  const std::string_view host = authority.substr(bracketed, host_end - bracketed);
  if (host.empty() ||
      !std::all_of(host.begin(), host.end(), bracketed ? is_ipv6_character : is_host_character)) {
    return false;
  }
  url.host = host;
  port_text = host_end == std::string_view::npos ? "" : authority.substr(host_end + bracketed);
  return true;
}

}  // namespace

std::string Url::authority() const {
  std::string text = host.find(':') == std::string::npos ? host : "[" + host + "]";
  const int default_port = scheme == "https" ? 443 : 80;
  if (port != default_port) text += ":" + std::to_string(port);
  return text;
}

Result<Url> parse_url(std::string_view text) {
  if (!std::all_of(text.begin(), text.end(), is_url_character)) {
    return url_error(text, "printable ASCII without spaces");
  }
  Url url;
  std::string_view rest = text;
  const std::size_t scheme_end = rest.find("://");
  if (scheme_end == std::string_view::npos) {
    url.scheme = "http";
  } else {
    url.scheme = rest.substr(0, scheme_end);
    rest.remove_prefix(scheme_end + 3);
  }
  if (url.scheme != "http" && url.scheme != "https") return url_error(text, "http:// or https://");
  url.port = url.scheme == "https" ? 443 : 80;

  rest = rest.substr(0, rest.find('#'));
  const std::size_t authority_end = std::min(rest.find_first_of("/?"), rest.size());
  const std::string_view authority = rest.substr(0, authority_end);
  const std::string_view target = rest.substr(authority_end);
  if (authority.find('@') != std::string_view::npos) {
    return url_error(text, "no user name or password before the host");
  }
  std::string_view port_text;
  if (!split_authority(authority, url, port_text)) {
    return url_error(text, "a host name, an IPv4 address or an IPv6 address in brackets");
  }
  if (!port_text.empty() &&
      (port_text.front() != ':' || !parse_port(port_text.substr(1), url.port))) {
    return url_error(text, "a port from 1 to 65535 after the host");
  }
  url.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
  return url;
}

}  // namespace fathom::net
