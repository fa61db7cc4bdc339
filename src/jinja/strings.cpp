#include "jinja/strings.h"

#include <algorithm>

#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

// Work on single characters, against a plain copy.
constexpr std::size_t kEffortAByte = 8;
constexpr Integer kNoLimit = Integer{1} << 60;

Integer split_limit(std::optional<Integer> limit) {
  return limit && *limit >= 0 ? *limit : kNoLimit;
}

// The code points of `text`, sorted.
std::vector<char32_t> character_set(const MarkedText& text) {
  std::vector<char32_t> set;
  for (std::size_t at = 0; at < text.size();) set.push_back(next_code_point(text.view(), at));
  std::sort(set.begin(), set.end());
  return set;
}

std::size_t leading_in_set(std::string_view text, const std::vector<char32_t>& set) {
  std::size_t end = 0;
  while (end < text.size()) {
    std::size_t next = end;
    if (!std::binary_search(set.begin(), set.end(), next_code_point(text, next))) break;
    end = next;
  }
  return end;
}

std::size_t trailing_in_set(std::string_view text, const std::vector<char32_t>& set) {
  std::size_t begin = text.size();
  while (begin > 0) {
    const std::size_t start = move_code_points(text, begin, -1);
    std::size_t position = start;
    if (!std::binary_search(set.begin(), set.end(), next_code_point(text, position))) break;
    begin = start;
  }
  return text.size() - begin;
}

std::size_t space_from(std::string_view text, std::size_t begin) {
  return begin + leading_space(text.substr(begin));
}

std::size_t word_end(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    std::size_t next = begin;
    if (is_space(next_code_point(text, next))) break;
    begin = next;
  }
  return begin;
}

Value split_at_space(Heap& heap, const MarkedText& text, Integer limit) {
  std::vector<Value> parts;
  std::size_t begin = space_from(text.view(), 0);
  while (begin < text.size()) {
    const bool last = limit == 0;
    const std::size_t end = last ? text.size() : word_end(text.view(), begin);
    parts.push_back(make_part(heap, text, begin, end - begin));
    begin = space_from(text.view(), end);
    --limit;
  }
  return make_list(heap, std::move(parts));
}

void refuse_empty_separator(const MarkedText& separator) {
  if (separator.empty()) fail("split: expected a separator, got an empty string");
}

std::string reversed(std::string_view bytes) {
  return std::string(bytes.rbegin(), bytes.rend());
}

bool is_cased(char32_t c) {
  return to_upper(c) != c || to_lower(c) != c;
}

bool is_title_break(char32_t c) {
  return is_space(c) || c == '-' || c == '(' || c == '{' || c == '[' || c == '<';
}

char32_t change_case_of(char32_t c, LetterCase letter_case, bool at_start) {
  if (letter_case == LetterCase::kUpper) return to_upper(c);
  if (letter_case == LetterCase::kLower) return to_lower(c);
  return at_start ? to_upper(c) : to_lower(c);
}

// Whether the letter after `c` begins a word.
bool starts_word_after(char32_t c, LetterCase letter_case) {
  if (letter_case == LetterCase::kTitleMethod) return !is_cased(c);
  return letter_case == LetterCase::kTitleFilter && is_title_break(c);
}

}  // namespace

Value strip(Heap& heap, const MarkedText& text, Side side, const MarkedText* characters) {
  heap.work(kEffortAByte * (text.size() + (characters == nullptr ? 0 : characters->size())));
  std::string_view rest = text.view();
  std::vector<char32_t> set;
  if (characters != nullptr) set = character_set(*characters);
  std::size_t begin = 0;
  if (side != Side::kRight) {
    begin = characters == nullptr ? leading_space(rest) : leading_in_set(rest, set);
    rest.remove_prefix(begin);
  }
  if (side != Side::kLeft) {
    rest.remove_suffix(characters == nullptr ? trailing_space(rest) : trailing_in_set(rest, set));
  }
  return make_part(heap, text, begin, rest.size());
}

Value split(Heap& heap, const MarkedText& text, const MarkedText* separator,
            std::optional<Integer> limit) {
  Integer splits_left = split_limit(limit);
  if (separator == nullptr) {
    heap.work(kEffortAByte * text.size());
    return split_at_space(heap, text, splits_left);
  }
  refuse_empty_separator(*separator);
  heap.work(text.size());
  std::vector<Value> parts;
  std::size_t begin = 0;
  for (; splits_left > 0; --splits_left) {
    const std::size_t end = find_bytes(text.view(), separator->view(), begin);
    if (end == std::string_view::npos) break;
    parts.push_back(make_part(heap, text, begin, end - begin));
    begin = end + separator->size();
  }
  parts.push_back(make_part(heap, text, begin, text.size() - begin));
  return make_list(heap, std::move(parts));
}

Value split_from_right(Heap& heap, const MarkedText& text, const MarkedText* separator,
                       std::optional<Integer> limit) {
  if (separator == nullptr) fail("rsplit: expected a separator, got none");
  refuse_empty_separator(*separator);
  heap.work(2 * text.size());
  const std::string backwards = reversed(text.view());
  const std::string separator_backwards = reversed(separator->view());
  std::vector<Value> parts;
  std::size_t taken = 0;  // bytes from the end
  for (Integer left = split_limit(limit); left > 0; --left) {
    const std::size_t found = find_bytes(backwards, separator_backwards, taken);
    if (found == std::string_view::npos) break;
    parts.push_back(make_part(heap, text, text.size() - found, found - taken));
    taken = found + separator->size();
  }
  parts.push_back(make_part(heap, text, 0, text.size() - taken));
  std::reverse(parts.begin(), parts.end());
  return make_list(heap, std::move(parts));
}

std::vector<Value> split_lines(Heap& heap, const MarkedText& text) {
  heap.work(kEffortAByte * text.size());
  std::vector<Value> lines;
  std::size_t begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = at;
    const char32_t c = next_code_point(text.view(), at);
    const bool ends_line = (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 ||
                           c == 0x2028 || c == 0x2029;
    if (!ends_line) continue;
    if (c == '\r' && at < text.size() && text.bytes()[at] == '\n') ++at;
    lines.push_back(make_part(heap, text, begin, end - begin));
    begin = at;
  }
  if (begin < text.size()) lines.push_back(make_part(heap, text, begin, text.size() - begin));
  return lines;
}

Value replace(Heap& heap, const MarkedText& text, const MarkedText& old_part,
              const MarkedText& new_part, std::optional<Integer> limit) {
  heap.work(text.size());
  Integer left = split_limit(limit);
  TextBuilder builder(heap);
  std::size_t copied = 0;  // bytes of `text` already in the result
  std::size_t search = 0;
  for (; left > 0; --left) {
    const std::size_t found = find_bytes(text.view(), old_part.view(), search);
    if (found == std::string_view::npos) break;
    heap.step();
    builder.append(text, copied, found - copied);
    builder.append(new_part);
    copied = found + old_part.size();
    search = copied;
    // An empty part is found before each character and at the end.
    if (old_part.empty()) {
      if (search == text.size()) break;
      next_code_point(text.view(), search);
    }
  }
  builder.append(text, copied, text.size() - copied);
  return finish_text(std::move(builder));
}

Value change_case(Heap& heap, const MarkedText& text, LetterCase letter_case) {
  heap.work(kEffortAByte * text.size());
  TextBuilder builder(heap);
  bool at_start = true;
  std::size_t at = 0;
  for (const MarkedText::Run& run : text.runs()) {
    std::string changed;
    changed.reserve(run.end - at);
    while (at < run.end) {
      const char32_t c = next_code_point(text.view(), at);
      append_utf8(change_case_of(c, letter_case, at_start), changed);
      at_start = starts_word_after(c, letter_case);
    }
    builder.append(changed, run.trusted);
  }
  return finish_text(std::move(builder));
}

Value reverse_text(Heap& heap, const MarkedText& text) {
  TextBuilder builder(heap);
  for (std::size_t end = text.size(); end > 0;) {
    const std::size_t begin = move_code_points(text.view(), end, -1);
    builder.append(text, begin, end - begin);
    end = begin;
  }
  return finish_text(std::move(builder));
}

Value join(Heap& heap, const List& items, const MarkedText& separator) {
  TextBuilder builder(heap);
  for (std::size_t i = 0; i < items.items.size(); ++i) {
    if (i > 0) builder.append(separator);
    print(builder, items.items[i]);
  }
  return finish_text(std::move(builder));
}

Integer find_text(Heap& heap, const MarkedText& text, const MarkedText& part) {
  heap.work(text.size());
  const std::size_t found = find_bytes(text.view(), part.view());
  if (found == std::string_view::npos) return -1;
  return Integer{count_code_points(text.view().substr(0, found))};
}

Integer find_last_text(Heap& heap, const MarkedText& text, const MarkedText& part) {
  heap.work(2 * text.size());
  const std::size_t found = find_bytes(reversed(text.view()), reversed(part.view()));
  if (found == std::string_view::npos) return -1;
  const std::size_t begin = text.size() - found - part.size();
  return Integer{count_code_points(text.view().substr(0, begin))};
}

}  // namespace fathom::jinja
