// Classes of text that many states accept whatever it says: most tokens of a vocabulary belong to
// one, so that masks need not look at them one by one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "grammar/char_set.h"

namespace fathom::grammar {

enum class TextClass : uint8_t {
  kLower,  // a to z
  kWord,   // these, A to Z and 0 to 9
  kPlain,  // all that stands for itself in a JSON string: not '"', '\' or controls below U+0020
};
inline constexpr std::array kTextClasses = {TextClass::kLower, TextClass::kWord, TextClass::kPlain};

// Runs of characters are counted up to here; one that never ends counts as so many.
inline constexpr uint8_t kMaxRun = 255;

// Each class has the characters of the one before, too.
inline const CharSet& characters_of(TextClass text_class) {
  static const std::array<CharSet, kTextClasses.size()> sets = {
      CharSet{{'a', 'z'}}, CharSet{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
      CharSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement()};
  return sets[static_cast<size_t>(text_class)];
}

struct ClassifiedText {
  TextClass text_class;  // the first that has all characters
  size_t characters;
};

// Nothing for text that is not plain or not well-formed.
inline std::optional<ClassifiedText> classify_text(std::string_view bytes) {
  ClassifiedText result{TextClass::kLower, 0};
  for (; !bytes.empty(); ++result.characters) {
    const DecodedChar decoded = decode_utf8(bytes);
    if (decoded.length == 0) return std::nullopt;
    while (!characters_of(result.text_class).contains(decoded.code)) {
      if (result.text_class == TextClass::kPlain) return std::nullopt;
      result.text_class = static_cast<TextClass>(static_cast<int>(result.text_class) + 1);
    }
    bytes.remove_prefix(decoded.length);
  }
  return result;
}

}  // namespace fathom::grammar
