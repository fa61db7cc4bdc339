#include "rpc/security.h"

#include <fmt/format.h>

#include <fstream>

#include "base/loopback.h"

namespace fathom::rpc {

namespace {

// Whether "HOST:PORT" can only be reached from this machine.
bool is_local(const std::string& address) {
  return is_loopback(address.substr(0, address.rfind(':')));
}

}  // namespace

Status check_security(const std::string& address, const Security& security) {
  if (security.certificate_file.empty() != security.key_file.empty()) {
    return invalid_argument("engine TLS: expected a certificate and its key, got one of them");
  }
  const bool tls = !security.certificate_file.empty() || !security.authority_file.empty();
  if (!security.secret_file.empty() && !tls && !is_local(address)) {
    return invalid_argument(fmt::format(
        "{}: expected TLS around the secret, which would be readable on the way", address));
  }
  if (!is_local(address) && security.secret_file.empty() &&
      (security.certificate_file.empty() || security.authority_file.empty())) {
    return invalid_argument(
        fmt::format("{}: off this machine expected certificates of both sides "
                    "(certificate, key and authority), or TLS with a secret",
                    address));
  }
  return {};
}

Result<std::string> read_secret(const Security& security) {
  if (security.secret_file.empty()) return std::string();
  std::ifstream file(security.secret_file);
  std::string secret;
  if (!std::getline(file, secret) || secret.empty()) {
    return Error{ErrorCode::kIo, fmt::format("{}: expected a secret in the first line, got nothing",
                                             security.secret_file)};
  }
  return secret;
}

bool equal_secrets(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned difference = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  }
  return difference == 0;
}

}  // namespace fathom::rpc
