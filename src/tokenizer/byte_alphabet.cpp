#include "tokenizer/byte_alphabet.h"

#include "base/utf8.h"

namespace fathom::tokenizer {
namespace {

constexpr char32_t kFirstSubstitute = 0x100;
constexpr char32_t kAlphabetEnd = kFirstSubstitute + 68;

bool stands_for_itself(char32_t byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

std::array<char32_t, 256> make_byte_codes() {
  std::array<char32_t, 256> codes{};
  char32_t substitute = kFirstSubstitute;
  for (char32_t byte = 0; byte < 256; ++byte) {
    codes[byte] = stands_for_itself(byte) ? byte : substitute++;
  }
  return codes;
}

const std::array<char32_t, 256>& byte_codes() {
  static const std::array<char32_t, 256> codes = make_byte_codes();
  return codes;
}

constexpr int kNoByte = -1;

std::array<int, kAlphabetEnd> make_code_bytes() {
  std::array<int, kAlphabetEnd> bytes;
  bytes.fill(kNoByte);
  for (int byte = 0; byte < 256; ++byte) bytes[byte_codes()[byte]] = byte;
  return bytes;
}

}  // namespace

const std::array<std::string, 256>& byte_alphabet() {
  static const std::array<std::string, 256> alphabet = [] {
    std::array<std::string, 256> made;
    for (int byte = 0; byte < 256; ++byte) append_utf8(byte_codes()[byte], made[byte]);
    return made;
  }();
  return alphabet;
}

std::optional<std::string> bytes_from_alphabet(std::string_view written) {
  static const std::array<int, kAlphabetEnd> code_bytes = make_code_bytes();
  std::string bytes;
  for (size_t at = 0; at < written.size();) {
    const DecodedCharacter character = decode_valid_utf8(written.data() + at);
    if (character.code >= kAlphabetEnd || code_bytes[character.code] == kNoByte) return {};
    bytes += static_cast<char>(code_bytes[character.code]);
    at += character.length;
  }
  return bytes;
}

}  // namespace fathom::tokenizer
