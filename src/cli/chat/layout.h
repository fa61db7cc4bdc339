// Where the characters of an edited text are on the screen.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace fathom::cli {

// A row shows text[begin, end); a line break behind it is not in it.
struct TextRow {
  size_t begin;
  size_t end;
};

struct TextLayout {
  std::vector<TextRow> rows;  // at least one
  size_t cursor_row = 0;
};

// Lines are cut where `columns` end, between characters; one character is in a row however narrow.
TextLayout lay_out(std::u32string_view text, size_t cursor, int columns);

// The index in `row` whose character stands at `column`, or the row's last.
size_t index_at(std::u32string_view text, const TextLayout& layout, size_t row, int column);

// The rows [first, last) to show where there is room for `room` of them, at least one: all, or a
// part with the cursor's that moves as little as it can from where it began before.
struct RowWindow {
  size_t first;
  size_t last;
};
RowWindow rows_to_show(const TextLayout& layout, size_t room, size_t first_before);

}  // namespace fathom::cli
