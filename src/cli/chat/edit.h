// A text of several lines while it is edited, with its cursor. Independent of any terminal.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "cli/chat/keys.h"

namespace fathom::cli {

class EditedText {
 public:
  const std::u32string& text() const { return text_; }
  size_t cursor() const { return cursor_; }  // an index into text(), between two characters

  // Replaces all; the cursor goes to the end. Control characters are left out, here and below.
  void set(std::u32string_view text);
  void insert(std::u32string_view text);
  void move_to(size_t index) { cursor_ = index; }
  // Applies a key that changes the text or moves the cursor; false if `key` is no such key.
  bool apply(const Key& key);
  // Whether the text ends in a backslash, which says that it goes on; two are one, and no more. If
  // it does, a line break takes the backslash's place.
  bool go_on();

 private:
  size_t line_begin() const;
  size_t line_end() const;
  size_t word_begin() const;
  size_t word_end() const;
  void kill(size_t begin, size_t end);
  void erase(size_t begin, size_t end);

  std::u32string text_;
  std::u32string killed_;  // last, for kYank
  size_t cursor_ = 0;
};

}  // namespace fathom::cli
