// Classes of text that many states accept whatever it says: most tokens of a vocabulary belong to
// one, so that masks need not look at them one by one.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "grammar/rules/char_set.h"

namespace fathom::grammar {

enum class TextClass : uint8_t {
  kLower,    // a to z
  kWord,     // these, A to Z and 0 to 9
  kForeign,  // all beyond ASCII
  kPlain,  // every character that needs no escape in a JSON string: not '"', '\' or controls below
           // U+0020
};
inline constexpr std::array kTextClasses = {TextClass::kLower, TextClass::kWord,
                                            TextClass::kForeign, TextClass::kPlain};

// Runs of characters are counted up to here; one that never ends counts as so many.
inline constexpr uint8_t kMaxRun = 255;

inline const CharSet& characters_of(TextClass text_class) {
  static const std::array<CharSet, kTextClasses.size()> sets = {
      CharSet{{'a', 'z'}}, CharSet{{'0', '9'}, {'A', 'Z'}, {'a', 'z'}},
      CharSet({{0, 0x7F}}).complement(),
      CharSet({{0, 0x1F}, {'"', '"'}, {'\\', '\\'}}).complement()};
  return sets[static_cast<size_t>(text_class)];
}

struct ClassifiedText {
  TextClass text_class;  // the first that has all characters
  size_t characters;
};

// Nothing for text that is not plain or not well-formed.
inline std::optional<ClassifiedText> classify_text(std::string_view bytes) {
  std::array<bool, kTextClasses.size()> fits;
  fits.fill(true);
  size_t characters = 0;
  for (; !bytes.empty(); ++characters) {
    const DecodedChar decoded = decode_utf8(bytes);
    if (decoded.length == 0) return std::nullopt;
    for (const TextClass text_class : kTextClasses) {
      bool& fit = fits[static_cast<size_t>(text_class)];
      fit = fit && characters_of(text_class).contains(decoded.code);
    }
    bytes.remove_prefix(decoded.length);
  }
  for (const TextClass text_class : kTextClasses) {
    if (fits[static_cast<size_t>(text_class)]) return ClassifiedText{text_class, characters};
  }
  return std::nullopt;
}

}  // namespace fathom::grammar
