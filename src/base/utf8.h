// UTF-8 scanning, decoding and encoding. Ill-formed bytes are handled as the Unicode
// Standard recommends (chapter 3.9, "U+FFFD Substitution of Maximal Subparts"), which is also what
// web browsers, Rust and Python do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace fathom {

inline constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Unit : uint8_t {
  kCharacter,   // one well-formed character
  kInvalid,     // a maximal ill-formed part: one U+FFFD stands for it
  kIncomplete,  // a well-formed beginning, cut off by the end of the bytes
};

struct Utf8Scan {
  Utf8Unit unit;
  uint32_t length;  // in bytes, 1 to 4
};

// What stands at the beginning of `bytes`, which must not be empty.
Utf8Scan scan_utf8(std::string_view bytes);

// The length in bytes of the longest well-formed beginning of `bytes`.
size_t valid_utf8_prefix(std::string_view bytes);

// `bytes` with each ill-formed part, an incomplete one at the end included, as U+FFFD.
std::string replace_invalid_utf8(std::string_view bytes);

// Moves every whole character from the front of `buffer` to the end of `out`, ill-formed parts as
// U+FFFD. What stays in `buffer` (at most 3 bytes) is the beginning of a character.
void take_whole_characters(std::string& buffer, std::string& out);

struct DecodedCharacter {
  char32_t code;
  uint32_t length;  // in bytes, 1 to 4
};

// The character at `at` in well-formed UTF-8.
inline DecodedCharacter decode_valid_utf8(const char* at) {
  const auto byte = [at](int i) {
    return static_cast<char32_t>(static_cast<unsigned char>(at[i]));
  };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F),
          4};
}

// Appends `code`, a Unicode scalar value, to `out`.
void append_utf8(char32_t code, std::string& out);

}  // namespace fathom
