// Jinja's filters of strings, which take any value as its text.
#include <fmt/format.h>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/strings.h"

namespace fathom::jinja {
namespace {

template <LetterCase letter_case>
Value case_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("filter", {});
  return change_case(heap, *to_text(heap, subject).text(), letter_case);
}

Value trim_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("trim", {"chars"});
  return strip(heap, *to_text(heap, subject).text(), Side::kBoth, text_argument(bound[0], "chars"));
}

Value replace_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"});
  const Value old_part = to_text(heap, required(bound[0], "replace", "old"));
  const Value new_part = to_text(heap, required(bound[1], "replace", "new"));
  return replace(heap, *to_text(heap, subject).text(), *old_part.text(), *new_part.text(),
                 integer_argument(bound[2], "count"));
}

Value string_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("string", {});
  return to_text(heap, subject);
}

// `count` spaces, or the text itself.
MarkedText indentation(Heap& heap, const Value* width, Integer fallback) {
  if (width != nullptr && width->text() != nullptr) return *width->text();
  const Integer count = integer_argument(width, "width").value_or(fallback);
  const Value spaces = arithmetic(heap, Arithmetic::kMultiply, make_text(heap, " ", false), count);
  return *spaces.text();
}

Value indent_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("indent", {"width", "first", "blank"});
  const MarkedText indent = indentation(heap, bound[0], 4);
  const bool first = boolean_argument(bound[1], "first", false);
  const bool blank = boolean_argument(bound[2], "blank", false);
  const Value text = to_text(heap, subject);
  // A line end at the end of the text stays: it is followed by one more, empty line.
  TextBuilder with_line_end(heap);
  with_line_end.append(*text.text());
  with_line_end.append("\n", false);
  const std::vector<Value> lines = split_lines(heap, *finish_text(std::move(with_line_end)).text());
  TextBuilder builder(heap);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    if (i > 0) builder.append("\n", false);
    const bool indented = i == 0 ? first : blank || !lines[i].text()->empty();
    if (indented) builder.append(indent);
    builder.append(*lines[i].text());
  }
  return finish_text(std::move(builder));
}

void read_separators(const Value& value, JsonStyle& style) {
  const List* pair = value.list();
  if (pair == nullptr || pair->items.size() != 2) {
    fail(fmt::format("tojson: expected two separators, got {}", value.describe()));
  }
  style.item_separator = required_text(&pair->items[0], "tojson", "separators");
  style.key_separator = required_text(&pair->items[1], "tojson", "separators");
}

Value tojson_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound =
      arguments.bind("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = boolean_argument(bound[0], "ensure_ascii", false);
  style.sort_keys = boolean_argument(bound[3], "sort_keys", false);
  if (bound[1] != nullptr && !bound[1]->is_none()) {
    style.indent = indentation(heap, bound[1], 0);
    style.item_separator = MarkedText(",", false);
  }
  if (bound[2] != nullptr && !bound[2]->is_none()) read_separators(*bound[2], style);
  TextBuilder builder(heap);
  print_json(builder, subject, style);
  return finish_text(std::move(builder));
}

constexpr NamedNative kTextFilters[] = {
    {"upper", case_filter<LetterCase::kUpper>},
    {"lower", case_filter<LetterCase::kLower>},
    {"title", case_filter<LetterCase::kTitleFilter>},
    {"capitalize", case_filter<LetterCase::kCapitalize>},
    {"trim", trim_filter},
    {"replace", replace_filter},
    {"string", string_filter},
    {"indent", indent_filter},
    {"tojson", tojson_filter},
};

}  // namespace

const NamedNative* find_text_filter(std::string_view name) {
  return find_named(kTextFilters, name);
}

}  // namespace fathom::jinja
