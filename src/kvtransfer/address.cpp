#include <fmt/format.h>

#include <charconv>

#include "kvtransfer/transport.h"

namespace fathom::kvtransfer {

std::string Address::text() const {
  const bool v6 = host.find(':') != std::string::npos;
  return fmt::format("{}:{}", v6 ? "[" + host + "]" : host, port);
}

Result<Address> Address::parse(const std::string& text, const std::string& what) {
  const Error wrong = invalid_argument(
      fmt::format("{}: expected HOST:PORT or [IPV6]:PORT, got '{}'", what, text), what);
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos || colon == 0) return wrong;
  Address address = {.host = text.substr(0, colon), .port = 0};
  const char* end = text.data() + text.size();
  const auto [stop, failed] = std::from_chars(text.data() + colon + 1, end, address.port);
  if (failed != std::errc() || stop != end) return wrong;
  if (address.host.front() == '[') {
    if (address.host.size() < 3 || address.host.back() != ']') return wrong;
    address.host = address.host.substr(1, address.host.size() - 2);
  } else if (address.host.find(':') != std::string::npos) {
    return wrong;
  }
  return address;
}

}  // namespace fathom::kvtransfer
