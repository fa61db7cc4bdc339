// The parts of Unicode that Jinja's strings need. Every `text` is valid UTF-8.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/utf8.h"

namespace fathom::jinja {

// The code point that starts at `position`, which moves behind it.
inline char32_t next_code_point(std::string_view text, std::size_t& position) {
  const DecodedCharacter character = decode_valid_utf8(text.data() + position);
  position += character.length;
  return character.code;
}

std::size_t count_code_points(std::string_view text);
// Byte offset of code point number `index`, or text.size() if there are fewer.
std::size_t byte_offset(std::string_view text, std::size_t index);
// The byte offset `steps` code points after (or before) the one at `position`; it must exist.
std::size_t move_code_points(std::string_view text, std::size_t position, long long steps);

// As Python's str.isspace().
bool is_space(char32_t code_point);
// Bytes of white space at the start and at the end.
std::size_t leading_space(std::string_view text);
std::size_t trailing_space(std::string_view text);

// One-to-one case mappings of Unicode (without the likes of sharp s to SS).
char32_t to_upper(char32_t code_point);
char32_t to_lower(char32_t code_point);

}  // namespace fathom::jinja
