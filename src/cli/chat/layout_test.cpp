#include "cli/chat/layout.h"

#include <gtest/gtest.h>

#include <string>

#include "cli/chat/characters.h"

namespace fathom::cli {
namespace {

std::vector<std::string> rows_of(std::u32string_view text, int columns) {
  std::vector<std::string> rows;
  for (const auto& row : lay_out(text, 0, columns).rows) {
    rows.push_back(encode_text(text.substr(row.begin, row.end - row.begin)));
  }
  return rows;
}

size_t cursor_row(std::u32string_view text, size_t cursor, int columns) {
  return lay_out(text, cursor, columns).cursor_row;
}

using Rows = std::vector<std::string>;

TEST(ChatLayout, CutsLinesIntoRows) {
  EXPECT_EQ(rows_of(U"", 4), (Rows{""}));
  EXPECT_EQ(rows_of(U"abcd", 4), (Rows{"abcd"}));
  EXPECT_EQ(rows_of(U"abcdef", 4), (Rows{"abcd", "ef"}));
  EXPECT_EQ(rows_of(U"ab\n\ncd\n", 4), (Rows{"ab", "", "cd", ""}));
  EXPECT_EQ(rows_of(U"abcd\nef", 4), (Rows{"abcd", "ef"}));
}

TEST(ChatLayout, KeepsWideCharactersWhole) {
  EXPECT_EQ(rows_of(U"a\u4f60\u597d", 4), (Rows{"a\xE4\xBD\xA0", "\xE5\xA5\xBD"}));
  EXPECT_EQ(rows_of(U"\u4f60\u597d", 1), (Rows{"\xE4\xBD\xA0", "\xE5\xA5\xBD"}));
  EXPECT_EQ(rows_of(U"abe\u0301", 3), (Rows{"abe\xCC\x81"}));  // an accent takes no column
}

TEST(ChatLayout, FindsTheCursorsRow) {
  EXPECT_EQ(cursor_row(U"abcdef", 3, 4), 0u);
  EXPECT_EQ(cursor_row(U"abcdef", 4, 4), 1u);  // before "e"
  EXPECT_EQ(cursor_row(U"abcd", 4, 4), 0u);    // behind all
  EXPECT_EQ(cursor_row(U"ab\ncd", 2, 4), 0u);
  EXPECT_EQ(cursor_row(U"ab\ncd", 3, 4), 1u);
  EXPECT_EQ(cursor_row(U"ab\n", 3, 4), 1u);
}

TEST(ChatLayout, FindsWhatStandsAtAColumn) {
  const std::u32string_view text = U"abc\n\u4f60\u597d\nx";
  const auto layout = lay_out(text, 0, 10);
  EXPECT_EQ(index_at(text, layout, 0, 1), 1u);
  EXPECT_EQ(index_at(text, layout, 0, 9), 3u);
  EXPECT_EQ(index_at(text, layout, 1, 2), 5u);
  EXPECT_EQ(index_at(text, layout, 1, 3), 5u);  // within a wide character: before it
  EXPECT_EQ(index_at(text, layout, 2, 3), 8u);
  const std::u32string_view cut = U"abcdef";
  EXPECT_EQ(index_at(cut, lay_out(cut, 0, 4), 0, 4), 3u);  // 4 would be in the next row
}

TEST(ChatLayout, ShowsTheRowsAroundTheCursor) {
  const std::u32string_view text = U"0\n1\n2\n3\n4\n5\n6\n7\n8\n9";
  const auto shown = [&](size_t cursor_at, size_t room, size_t before) {
    const RowWindow window = rows_to_show(lay_out(text, 2 * cursor_at, 10), room, before);
    return std::pair(window.first, window.last);
  };
  EXPECT_EQ(shown(5, 10, 0), std::pair(size_t{0}, size_t{10}));
  EXPECT_EQ(shown(9, 3, 0), std::pair(size_t{7}, size_t{10}));
  EXPECT_EQ(shown(7, 3, 7), std::pair(size_t{7}, size_t{10}));  // no need to move
  EXPECT_EQ(shown(6, 3, 7), std::pair(size_t{6}, size_t{9}));
  EXPECT_EQ(shown(0, 3, 6), std::pair(size_t{0}, size_t{3}));
  EXPECT_EQ(shown(4, 0, 0), std::pair(size_t{4}, size_t{5}));
}

}  // namespace
}  // namespace fathom::cli
