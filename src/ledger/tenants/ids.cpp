#include "ledger/tenants/ids.h"

#include <fmt/format.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <span>

#include "base/utf8.h"

namespace fathom::ledger {

namespace {

std::string hexadecimal(std::span<const unsigned char> bytes) {
  std::string digits;
  for (const unsigned char byte : bytes) digits += fmt::format("{:02x}", byte);
  return digits;
}

template <size_t N>
std::string random_digits() {
  std::array<unsigned char, N> bytes;
  FATHOM_CHECK(RAND_bytes(bytes.data(), N) == 1, "the system has no random numbers");
  return hexadecimal(bytes);
}

}  // namespace

std::string new_id(std::string_view prefix) {
  return fmt::format("{}_{}", prefix, random_digits<16>());
}

std::string new_secret() {
  return "sk-" + random_digits<32>();
}

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> hash;
  SHA256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(), hash.data());
  return hexadecimal(hash);
}

Status check_text(const char* field, std::string_view text, size_t most) {
  const bool printable = std::none_of(text.begin(), text.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (text.empty() || text.size() > most || !printable || valid_utf8_prefix(text) != text.size()) {
    return invalid_argument(
        fmt::format("{}: expected 1 to {} bytes of UTF-8 without control characters", field, most),
        field);
  }
  return {};
}

}  // namespace fathom::ledger
