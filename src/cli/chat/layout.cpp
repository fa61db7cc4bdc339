#include "cli/chat/layout.h"

#include <algorithm>

#include "cli/chat/characters.h"

namespace fathom::cli {

TextLayout lay_out(std::u32string_view text, size_t cursor, int columns) {
  TextLayout layout;
  TextRow row = {0, 0};
  int used = 0;
  const auto end_row = [&](size_t next) {
    layout.rows.push_back(row);
    row = {next, next};
    used = 0;
  };
  while (row.end < text.size()) {
    if (text[row.end] == '\n') {
      end_row(row.end + 1);
      continue;
    }
    const size_t next = character_end(text, row.end);
    const int width = columns_of(text.substr(row.end, next - row.end));
    if (used > 0 && used + width > columns) end_row(row.end);
    row.end = next;
    used += width;
  }
  layout.rows.push_back(row);
  const auto after =
      std::upper_bound(layout.rows.begin(), layout.rows.end(), cursor,
                       [](size_t at, const TextRow& each) { return at < each.begin; });
  layout.cursor_row = static_cast<size_t>(after - layout.rows.begin()) - 1;
  return layout;
}

size_t index_at(std::u32string_view text, const TextLayout& layout, size_t row, int column) {
  const TextRow& wanted = layout.rows[row];
  size_t index = wanted.begin;
  int used = 0;
  while (index < wanted.end) {
    const size_t next = character_end(text, index);
    used += columns_of(text.substr(index, next - index));
    if (used > column) break;
    index = next;
  }
  // The end of a row that was cut is where the next begins.
  const bool is_cut = row + 1 < layout.rows.size() && layout.rows[row + 1].begin == wanted.end;
  if (index == wanted.end && is_cut && index > wanted.begin) return character_begin(text, index);
  return index;
}

RowWindow rows_to_show(const TextLayout& layout, size_t room, size_t first_before) {
  const size_t count = layout.rows.size();
  const size_t shown = std::min(std::max<size_t>(room, 1), count);
  const size_t lowest = layout.cursor_row + 1 > shown ? layout.cursor_row + 1 - shown : 0;
  const size_t highest = std::min(layout.cursor_row, count - shown);
  const size_t first = std::clamp(first_before, lowest, highest);
  return {first, first + shown};
}

}  // namespace fathom::cli
