#include "cli/chat/edit.h"

#include <algorithm>

#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

std::u32string without_controls(std::u32string_view text) {
  std::u32string kept(text);
  std::erase_if(kept, is_control);
  return kept;
}

bool is_blank(char32_t code) {
  return code == ' ' || code == '\t' || code == '\n' || code == 0x3000;  // Chinese text's, too
}

}  // namespace

void EditedText::set(std::u32string_view text) {
  text_ = without_controls(text);
  cursor_ = text_.size();
}

void EditedText::insert(std::u32string_view text) {
  const std::u32string kept = without_controls(text);
  text_.insert(cursor_, kept);
  cursor_ += kept.size();
}

bool EditedText::apply(const Key& key) {
  switch (key.kind) {
    case KeyKind::kText:
    case KeyKind::kPaste:
      insert(key.text);
      return true;
    case KeyKind::kLineBreak:
      insert(U"\n");
      return true;
    case KeyKind::kLeft:
      cursor_ = character_begin(text_, cursor_);
      return true;
    case KeyKind::kRight:
      cursor_ = character_end(text_, cursor_);
      return true;
    case KeyKind::kWordLeft:
      cursor_ = word_begin();
      return true;
    case KeyKind::kWordRight:
      cursor_ = word_end();
      return true;
    case KeyKind::kHome:
      cursor_ = line_begin();
      return true;
    case KeyKind::kEnd:
      cursor_ = line_end();
      return true;
    case KeyKind::kBackspace:
      erase(character_begin(text_, cursor_), cursor_);
      return true;
    case KeyKind::kDelete:
    case KeyKind::kDeleteOrFinish:
      erase(cursor_, character_end(text_, cursor_));
      return true;
    case KeyKind::kKillWord:
      kill(word_begin(), cursor_);
      return true;
    case KeyKind::kKillWordRight:
      kill(cursor_, word_end());
      return true;
    case KeyKind::kKillToHome:  // at a line's begin it takes the line break before it
      kill(std::min(line_begin(), cursor_ - (cursor_ > 0 ? 1 : 0)), cursor_);
      return true;
    case KeyKind::kKillToEnd:
      kill(cursor_, std::max(line_end(), std::min(cursor_ + 1, text_.size())));
      return true;
    case KeyKind::kYank:
      insert(killed_);
      return true;
    default:
      return false;
  }
}

bool EditedText::go_on() {
  const size_t last = text_.find_last_not_of(U'\\');
  const size_t backslashes = text_.size() - (last == std::u32string::npos ? 0 : last + 1);
  if (backslashes % 2 == 0) return false;
  text_.back() = '\n';
  cursor_ = text_.size();
  return true;
}

size_t EditedText::line_begin() const {
  const size_t break_before = cursor_ == 0 ? std::u32string::npos : text_.rfind('\n', cursor_ - 1);
  return break_before == std::u32string::npos ? 0 : break_before + 1;
}

size_t EditedText::line_end() const {
  return std::min(text_.find('\n', cursor_), text_.size());
}

size_t EditedText::word_begin() const {
  size_t begin = cursor_;
  while (begin > 0 && is_blank(text_[begin - 1])) --begin;
  while (begin > 0 && !is_blank(text_[begin - 1])) --begin;
  return begin;
}

size_t EditedText::word_end() const {
  size_t end = cursor_;
  while (end < text_.size() && is_blank(text_[end])) ++end;
  while (end < text_.size() && !is_blank(text_[end])) ++end;
  return end;
}

void EditedText::kill(size_t begin, size_t end) {
  if (begin < end) killed_ = text_.substr(begin, end - begin);
  erase(begin, end);
}

void EditedText::erase(size_t begin, size_t end) {
  text_.erase(begin, end - begin);
  cursor_ = begin;
}

}  // namespace fathom::cli
