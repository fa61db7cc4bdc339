// The classes of characters that byte-level BPE tokenizers split by. The table is part of the
// source, so that the same text gives the same tokens whatever libraries a machine has.
#pragma once

#include <cstdint>

namespace fathom::tokenizer {

enum class CharClass : uint8_t {
  kOther,  // control, format, private use, unassigned
  kLetter,
  kMark,
  kNumber,
  kPunctuation,
  kSymbol,
  kSpace,  // White_Space: separators and U+0009..U+000D, U+0085
};

// The class of a Unicode scalar value, U+10FFFF at most.
CharClass char_class(char32_t code);

}  // namespace fathom::tokenizer
