#include "base/utf8.h"

#include <cstring>

namespace fathom {
namespace {

// The well-formed sequences (Unicode Standard, table 3-7): the length a lead byte announces and the
// range of its second byte; all later bytes are 80..BF.
struct LeadByte {
  uint32_t length;  // 0: no character begins with this byte
  unsigned char second_low;
  unsigned char second_high;
};

LeadByte lead_byte(unsigned char lead) {
  if (lead < 0x80) return {1, 0, 0};
  if (lead < 0xC2) return {0, 0, 0};
  if (lead < 0xE0) return {2, 0x80, 0xBF};
  if (lead < 0xF0) {
    return {3, static_cast<unsigned char>(lead == 0xE0 ? 0xA0 : 0x80),
            static_cast<unsigned char>(lead == 0xED ? 0x9F : 0xBF)};
  }
  if (lead < 0xF5) {
    return {4, static_cast<unsigned char>(lead == 0xF0 ? 0x90 : 0x80),
            static_cast<unsigned char>(lead == 0xF4 ? 0x8F : 0xBF)};
  }
  return {0, 0, 0};
}

// How many of the 8 bytes at a time are plain ASCII, from the front.
size_t ascii_prefix(std::string_view bytes) {
  size_t at = 0;
  for (uint64_t word; at + sizeof(word) <= bytes.size(); at += sizeof(word)) {
    std::memcpy(&word, bytes.data() + at, sizeof(word));
    if (word & 0x8080808080808080u) break;
  }
  return at;
}

}  // namespace

Utf8Scan scan_utf8(std::string_view bytes) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const LeadByte lead = lead_byte(byte(0));
  if (lead.length == 0) return {Utf8Unit::kInvalid, 1};
  for (uint32_t i = 1; i < lead.length; ++i) {
    if (i == bytes.size()) return {Utf8Unit::kIncomplete, i};
    const unsigned char low = i == 1 ? lead.second_low : 0x80;
    const unsigned char high = i == 1 ? lead.second_high : 0xBF;
    if (byte(i) < low || byte(i) > high) return {Utf8Unit::kInvalid, i};
  }
  return {Utf8Unit::kCharacter, lead.length};
}

size_t valid_utf8_prefix(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    at += ascii_prefix(bytes.substr(at));
    if (at == bytes.size()) break;
    const Utf8Scan scan = scan_utf8(bytes.substr(at));
    if (scan.unit != Utf8Unit::kCharacter) break;
    at += scan.length;
  }
  return at;
}

std::string replace_invalid_utf8(std::string_view bytes) {
  std::string buffer(bytes);
  std::string out;
  take_whole_characters(buffer, out);
  if (!buffer.empty()) out += kReplacementCharacter;
  return out;
}

void take_whole_characters(std::string& buffer, std::string& out) {
  const std::string_view bytes = buffer;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t valid = valid_utf8_prefix(bytes.substr(at));
    out.append(bytes, at, valid);
    at += valid;
    if (at == bytes.size()) break;
    const Utf8Scan scan = scan_utf8(bytes.substr(at));
    if (scan.unit == Utf8Unit::kIncomplete) break;
    out += kReplacementCharacter;
    at += scan.length;
  }
  buffer.erase(0, at);
}

void append_utf8(char32_t code, std::string& out) {
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
}

}  // namespace fathom
