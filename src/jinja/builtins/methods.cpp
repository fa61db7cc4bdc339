// The methods of strings, dicts and `loop`.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/strings.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

template <LetterCase letter_case>
Value case_method(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("string method", {});
  return change_case(heap, *subject.text(), letter_case);
}

template <Side side>
Value strip_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("strip", {"chars"});
  return strip(heap, *subject.text(), side, text_argument(bound[0], "chars"));
}

using Splitter = Value (*)(Heap&, const MarkedText&, const MarkedText*, std::optional<Integer>);

template <Splitter splitter>
Value split_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("split", {"sep", "maxsplit"});
  return splitter(heap, *subject.text(), text_argument(bound[0], "sep"),
                  integer_argument(bound[1], "maxsplit"));
}

Value splitlines_method(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("splitlines", {});
  return make_list(heap, split_lines(heap, *subject.text()));
}

Value replace_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"});
  return replace(heap, *subject.text(), required_text(bound[0], "replace", "old"),
                 required_text(bound[1], "replace", "new"), integer_argument(bound[2], "count"));
}

// Whether `matches(affix)` holds for the argument, a string or one string of a list.
template <typename Matches>
Value any_affix(Heap& heap, const Value* argument, std::string_view callee,
                const Matches& matches) {
  const Value& affix = required(argument, callee, "prefix");
  if (affix.list() == nullptr) return matches(required_text(argument, callee, "prefix").view());
  for (const Value& item : affix.list()->items) {
    heap.step();
    if (matches(required_text(&item, callee, "prefix").view())) return true;
  }
  return false;
}

Value startswith_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("startswith", {"prefix"});
  return any_affix(heap, bound[0], "startswith", [&](std::string_view affix) {
    return subject.text()->view().starts_with(affix);
  });
}

Value endswith_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("endswith", {"suffix"});
  return any_affix(heap, bound[0], "endswith",
                   [&](std::string_view affix) { return subject.text()->view().ends_with(affix); });
}

Value removeprefix_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("removeprefix", {"prefix"});
  const std::string_view prefix = required_text(bound[0], "removeprefix", "prefix").view();
  const MarkedText& text = *subject.text();
  const std::size_t cut = text.view().starts_with(prefix) ? prefix.size() : 0;
  return make_part(heap, text, cut, text.size() - cut);
}

Value removesuffix_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("removesuffix", {"suffix"});
  const std::string_view suffix = required_text(bound[0], "removesuffix", "suffix").view();
  const MarkedText& text = *subject.text();
  const std::size_t cut = text.view().ends_with(suffix) ? suffix.size() : 0;
  return make_part(heap, text, 0, text.size() - cut);
}

using Finder = Integer (*)(Heap&, const MarkedText&, const MarkedText&);

template <Finder finder>
Value find_method_of(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("find", {"sub"});
  return finder(heap, *subject.text(), required_text(bound[0], "find", "sub"));
}

Value count_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("count", {"sub"});
  const MarkedText& part = required_text(bound[0], "count", "sub");
  const MarkedText& text = *subject.text();
  heap.work(text.size());
  if (part.empty()) return Integer{count_code_points(text.view()) + 1};
  Integer count = 0;
  std::size_t at = 0;
  while ((at = find_bytes(text.view(), part.view(), at)) != std::string_view::npos) {
    heap.step();
    ++count;
    at += part.size();
  }
  return count;
}

Value join_method(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("join", {"iterable"});
  const ListPtr items = items_of(heap, required(bound[0], "join", "iterable"));
  for (const Value& item : items->items) {
    if (item.text() == nullptr) {
      fail(fmt::format("join: expected strings to join, got {}", item.describe()));
    }
  }
  return join(heap, *items, *subject.text());
}

using CharacterTest = bool (*)(char32_t);

bool is_digit(char32_t c) {
  return c >= '0' && c <= '9';
}

// Whether the string has characters and all of them pass.
template <CharacterTest passes>
Value all_characters(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("string method", {});
  const std::string_view text = subject.text()->view();
  heap.work(text.size());
  for (std::size_t at = 0; at < text.size();) {
    if (!passes(next_code_point(text, at))) return false;
  }
  return !text.empty();
}

Value get_method(Heap&, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("get", {"key", "default"});
  const Value& key = required(bound[0], "get", "key");
  const Value* found = key.text() == nullptr ? nullptr : subject.dict()->find(key.text()->view());
  if (found != nullptr) return *found;
  return bound[1] == nullptr ? Value(None{}) : *bound[1];
}

Value items_method(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("items", {});
  std::vector<Value> items;
  for (const DictEntry& entry : subject.dict()->entries) {
    items.push_back(make_list(heap, {entry.key, entry.value}, true));
  }
  return make_list(heap, std::move(items));
}

Value keys_method(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("keys", {});
  return items_of(heap, subject);
}

Value values_method(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("values", {});
  std::vector<Value> values;
  for (const DictEntry& entry : subject.dict()->entries) values.push_back(entry.value);
  return make_list(heap, std::move(values));
}

Value cycle_method(Heap&, const Value& subject, Arguments& arguments) {
  if (arguments.positional.empty()) fail("cycle: expected values to cycle through, got none");
  return arguments.positional[subject.loop()->index0 % arguments.positional.size()];
}

constexpr NamedNative kTextMethods[] = {
    {"upper", case_method<LetterCase::kUpper>},
    {"lower", case_method<LetterCase::kLower>},
    {"title", case_method<LetterCase::kTitleMethod>},
    {"capitalize", case_method<LetterCase::kCapitalize>},
    {"strip", strip_method<Side::kBoth>},
    {"lstrip", strip_method<Side::kLeft>},
    {"rstrip", strip_method<Side::kRight>},
    {"split", split_method<split>},
    {"rsplit", split_method<split_from_right>},
    {"splitlines", splitlines_method},
    {"replace", replace_method},
    {"startswith", startswith_method},
    {"endswith", endswith_method},
    {"removeprefix", removeprefix_method},
    {"removesuffix", removesuffix_method},
    {"find", find_method_of<find_text>},
    {"rfind", find_method_of<find_last_text>},
    {"count", count_method},
    {"join", join_method},
    {"isdigit", all_characters<is_digit>},
    {"isspace", all_characters<is_space>},
};

constexpr NamedNative kDictMethods[] = {
    {"get", get_method},
    {"items", items_method},
    {"keys", keys_method},
    {"values", values_method},
};

constexpr NamedNative kLoopMethods[] = {{"cycle", cycle_method}};

}  // namespace

const NamedNative* find_method(const Value& object, std::string_view name) {
  if (object.text() != nullptr) return find_named(kTextMethods, name);
  if (object.dict() != nullptr) return find_named(kDictMethods, name);
  if (object.loop() != nullptr) return find_named(kLoopMethods, name);
  return nullptr;
}

}  // namespace fathom::jinja
