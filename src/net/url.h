#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fathom::net {

struct Url {
  std::string scheme;        // "http" or "https"
  std::string host;          // a name, an IPv4 address, or an IPv6 address without brackets
  int port = 0;              // 80 or 443 unless given
  std::string target = "/";  // path and query, at least "/"; the fragment is dropped

  // As the Host header wants it: "localhost:8000", "[::1]:8000", "example.org".
  std::string authority() const;
};

// "http://host:port/path?query"; the scheme may be left out ("localhost:8000"), then it is http.
// User names and passwords in a URL are refused, as are spaces and control characters.
Result<Url> parse_url(std::string_view text);

}  // namespace fathom::net
