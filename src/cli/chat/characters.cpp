#include "cli/chat/characters.h"

#include <locale.h>
#include <wchar.h>

#include "base/utf8.h"

namespace fathom::cli {
namespace {

constexpr char32_t kJoiner = 0x200D;

bool is_flag_letter(char32_t code) {
  return code >= 0x1F1E6 && code <= 0x1F1FF;
}

bool is_skin_tone(char32_t code) {
  return code >= 0x1F3FB && code <= 0x1F3FF;
}

// Whether `code` belongs to the character of the code point before it.
bool joins(char32_t before, char32_t code) {
  if (code < 0x300) return false;
  return before == kJoiner || is_skin_tone(code) || columns_of(code) == 0;
}

}  // namespace

int columns_of(char32_t code) {
  if (code == '\t') return kTabColumns;
  if (code < 0x7F) return code < ' ' ? 0 : 1;
  // wcwidth() needs a UTF-8 locale, of any language. Without one all characters count as narrow.
  static const locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  if (utf8 == nullptr) return 1;
  const locale_t before = uselocale(utf8);
  const int columns = wcwidth(static_cast<wchar_t>(code));
  uselocale(before);
  return columns < 0 ? 1 : columns;
}

int columns_of(std::u32string_view text) {
  int columns = 0;
  for (const char32_t code : text) columns += columns_of(code);
  return columns;
}

size_t character_end(std::u32string_view text, size_t begin) {
  if (begin >= text.size()) return text.size();
  size_t end = begin + 1;
  if (is_flag_letter(text[begin]) && end < text.size() && is_flag_letter(text[end])) ++end;
  while (end < text.size() && joins(text[end - 1], text[end])) ++end;
  return end;
}

size_t character_begin(std::u32string_view text, size_t end) {
  if (end == 0) return 0;
  size_t begin = end - 1;
  while (begin > 0 && joins(text[begin - 1], text[begin])) --begin;
  size_t letters = 0;  // of flags in a row: two are one flag
  while (letters <= begin && is_flag_letter(text[begin - letters])) ++letters;
  return letters > 0 && letters % 2 == 0 ? begin - 1 : begin;
}

std::u32string decode_text(std::string_view utf8) {
  const std::string valid = replace_invalid_utf8(utf8);
  std::u32string text;
  for (size_t i = 0; i < valid.size();) {
    const auto character = decode_valid_utf8(valid.data() + i);
    text += character.code;
    i += character.length;
  }
  return text;
}

std::string encode_text(std::u32string_view text) {
  std::string utf8;
  for (const char32_t code : text) append_utf8(code, utf8);
  return utf8;
}

bool is_control(char32_t code) {
  if (code == '\t' || code == '\n') return false;
  return code < ' ' || (code >= 0x7F && code < 0xA0);
}

std::string printable(std::string_view utf8) {
  std::u32string text = decode_text(utf8);
  std::erase_if(text, is_control);
  return encode_text(text);
}

}  // namespace fathom::cli
