// Plain characters: what stands for itself within a JSON string. Most tokens of a vocabulary are
// made of nothing else, and most states of strings accept any of them, so that masks need not look
// at them one by one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "grammar/char_set.h"

namespace fathom::grammar {

// Runs are counted up to here; a run that never ends counts as so many.
inline constexpr uint8_t kMaxPlainRun = 255;

// All but control characters below U+0020, '"' and '\'.
inline const CharSet& plain_characters() {
  static const CharSet set = CharSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement();
  return set;
}

// The number of characters if all of `bytes` is well-formed plain text.
inline std::optional<size_t> plain_length(std::string_view bytes) {
  size_t count = 0;
  for (; !bytes.empty(); ++count) {
    const DecodedChar decoded = decode_utf8(bytes);
    if (decoded.length == 0 || !plain_characters().contains(decoded.code)) return std::nullopt;
    bytes.remove_prefix(decoded.length);
  }
  return count;
}

}  // namespace fathom::grammar
