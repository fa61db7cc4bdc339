// What a reader sees as one character, and how wide a terminal draws it.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace fathom::cli {

// Columns of one code point: 2 for Chinese and most emoji, 0 for marks on the one before it. A tab
// is drawn as kTabColumns blanks.
inline constexpr int kTabColumns = 4;
int columns_of(char32_t code);
int columns_of(std::u32string_view text);

// The end of the character that begins at `begin`, and the beginning of the one that ends at `end`.
// A letter and its accents are one, an emoji and what is joined to it, and a flag.
size_t character_end(std::u32string_view text, size_t begin);
size_t character_begin(std::u32string_view text, size_t end);

// Ill-formed bytes become U+FFFD.
std::u32string decode_text(std::string_view utf8);
std::string encode_text(std::u32string_view text);

// Control characters but for tab and line break: drawing them would command the terminal.
bool is_control(char32_t code);

// `utf8` as a terminal may show it: without control characters.
std::string printable(std::string_view utf8);

}  // namespace fathom::cli
