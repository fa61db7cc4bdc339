// Python's string operations on marked text; every part keeps its marks.
#pragma once

#include <optional>

#include "jinja/value.h"

namespace fathom::jinja {

enum class Side { kLeft, kRight, kBoth };
enum class LetterCase {
  kUpper,
  kLower,
  kCapitalize,   // the first letter upper, all others lower
  kTitleMethod,  // str.title(): letters after anything but a letter upper
  kTitleFilter,  // Jinja's title: letters after space, -, (, {, [ or < upper
};

// Without the characters of `characters` (white space if null) at its ends.
Value strip(Heap& heap, const MarkedText& text, Side side, const MarkedText* characters);

// At most `limit` splits, from the left or from the right; at white space if `separator` is null.
Value split(Heap& heap, const MarkedText& text, const MarkedText* separator,
            std::optional<Integer> limit);
Value split_from_right(Heap& heap, const MarkedText& text, const MarkedText* separator,
                       std::optional<Integer> limit);
// At line ends, which are left out.
std::vector<Value> split_lines(Heap& heap, const MarkedText& text);

Value replace(Heap& heap, const MarkedText& text, const MarkedText& old_part,
              const MarkedText& new_part, std::optional<Integer> limit);
Value change_case(Heap& heap, const MarkedText& text, LetterCase letter_case);
Value reverse_text(Heap& heap, const MarkedText& text);
Value join(Heap& heap, const List& items, const MarkedText& separator);

// Code point number of the first (or last) `part`, or -1.
Integer find_text(Heap& heap, const MarkedText& text, const MarkedText& part);
Integer find_last_text(Heap& heap, const MarkedText& text, const MarkedText& part);

}  // namespace fathom::jinja
