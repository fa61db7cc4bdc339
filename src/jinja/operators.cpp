#include "jinja/operators.h"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>

#include "jinja/error.h"
#include "jinja/print.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

bool equal_lists(Heap& heap, const List& a, const List& b) {
  if (a.tuple != b.tuple || a.items.size() != b.items.size()) return false;
  for (std::size_t i = 0; i < a.items.size(); ++i) {
    if (!equal(heap, a.items[i], b.items[i])) return false;
  }
  return true;
}

bool equal_dicts(Heap& heap, const Dict& a, const Dict& b) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const DictEntry& entry : a.entries) {
    const Value* other = b.find(entry.key->marked.view());
    if (other == nullptr || !equal(heap, entry.value, *other)) return false;
  }
  return true;
}

int sign_of(int comparison) {
  return (comparison > 0) - (comparison < 0);
}

int order_lists(Heap& heap, const List& a, const List& b) {
  const std::size_t common = std::min(a.items.size(), b.items.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (!equal(heap, a.items[i], b.items[i])) return order(heap, a.items[i], b.items[i]);
  }
  return a.items.size() < b.items.size() ? -1 : a.items.size() > b.items.size() ? 1 : 0;
}

bool contains_text(Heap& heap, const MarkedText& text, const Value& item) {
  if (item.text() == nullptr) {
    fail(fmt::format("in: expected a string to look for in a string, got {}", item.describe()));
  }
  heap.work(text.size() + item.text()->size());
  return find_bytes(text.view(), item.text()->view()) != std::string_view::npos;
}

bool contains(Heap& heap, const Value& container, const Value& item) {
  if (const MarkedText* text = container.text()) return contains_text(heap, *text, item);
  if (const List* list = container.list()) {
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& other) { return equal(heap, other, item); });
  }
  if (const Dict* dict = container.dict()) {
    return item.text() != nullptr && dict->find(item.text()->view()) != nullptr;
  }
  if (container.is_undefined()) return false;
  fail(fmt::format("in: expected a string, list or dict on the right, got {}",
                   container.describe()));
}

}  // namespace

bool truthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) return false;
  if (const auto integer = as_integer(value)) return *integer != 0;
  if (const double* number = value.get<double>()) return *number != 0;
  if (const MarkedText* text = value.text()) return !text->empty();
  if (const List* list = value.list()) return !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->entries.empty();
  return true;
}

std::optional<Integer> as_integer(const Value& value) {
  if (const bool* boolean = value.get<bool>()) return Integer{*boolean};
  if (const Integer* integer = value.get<Integer>()) return *integer;
  return std::nullopt;
}

std::optional<double> as_number(const Value& value) {
  if (const double* number = value.get<double>()) return *number;
  if (const auto integer = as_integer(value)) return static_cast<double>(*integer);
  return std::nullopt;
}

bool equal(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (as_integer(a) && as_integer(b)) return *as_integer(a) == *as_integer(b);
  if (as_number(a) && as_number(b)) return *as_number(a) == *as_number(b);
  if (a.text() != nullptr && b.text() != nullptr) {
    heap.work(std::min(a.text()->size(), b.text()->size()));
    return a.text()->view() == b.text()->view();
  }
  if (a.list() != nullptr && b.list() != nullptr) return equal_lists(heap, *a.list(), *b.list());
  if (a.dict() != nullptr && b.dict() != nullptr) return equal_dicts(heap, *a.dict(), *b.dict());
  return a.name_space() != nullptr && a.name_space() == b.name_space();
}

int order(Heap& heap, const Value& a, const Value& b) {
  heap.step();
  if (as_integer(a) && as_integer(b)) {
    return *as_integer(a) < *as_integer(b) ? -1 : *as_integer(a) > *as_integer(b) ? 1 : 0;
  }
  if (as_number(a) && as_number(b)) {
    return *as_number(a) < *as_number(b) ? -1 : *as_number(a) > *as_number(b) ? 1 : 0;
  }
  if (a.text() != nullptr && b.text() != nullptr) {
    heap.work(std::min(a.text()->size(), b.text()->size()));
    // The order of UTF-8 bytes is the order of code points.
    return sign_of(a.text()->view().compare(b.text()->view()));
  }
  if (a.list() != nullptr && b.list() != nullptr && a.list()->tuple == b.list()->tuple) {
    return order_lists(heap, *a.list(), *b.list());
  }
  fail(fmt::format("comparison: expected two numbers or two strings, got {} and {}", a.describe(),
                   b.describe()));
}

bool compare(Heap& heap, Comparison comparison, const Value& a, const Value& b) {
  switch (comparison) {
    case Comparison::kEqual:
      return equal(heap, a, b);
    case Comparison::kNotEqual:
      return !equal(heap, a, b);
    case Comparison::kLess:
      return order(heap, a, b) < 0;
    case Comparison::kLessEqual:
      return order(heap, a, b) <= 0;
    case Comparison::kGreater:
      return order(heap, a, b) > 0;
    case Comparison::kGreaterEqual:
      return order(heap, a, b) >= 0;
    case Comparison::kIn:
      return contains(heap, b, a);
    case Comparison::kNotIn:
      return !contains(heap, b, a);
  }
  FATHOM_CHECK(false, "a comparison");
}

Value concatenate(Heap& heap, const Value& a, const Value& b) {
  TextBuilder builder(heap);
  print(builder, a);
  print(builder, b);
  return finish_text(std::move(builder));
}

ListPtr items_of(Heap& heap, const Value& value) {
  if (const ListPtr* list = value.get<ListPtr>()) return *list;
  std::vector<Value> items;
  if (const Dict* dict = value.dict()) {
    items.reserve(dict->entries.size());
    for (const DictEntry& entry : dict->entries) items.emplace_back(entry.key);
  } else if (const MarkedText* text = value.text()) {
    for (std::size_t end = 0; end < text->size();) {
      const std::size_t begin = end;
      next_code_point(text->view(), end);
      items.push_back(make_part(heap, *text, begin, end - begin));
    }
  } else if (!value.is_undefined()) {
    fail(fmt::format("expected a list, dict or string to walk through, got {}", value.describe()));
  }
  const Value list = make_list(heap, std::move(items));
  return *list.get<ListPtr>();
}

std::size_t find_bytes(std::string_view haystack, std::string_view needle, std::size_t from) {
  if (from > haystack.size()) return std::string_view::npos;
  if (needle.size() == 1) return haystack.find(needle[0], from);
  // Linear also for needles like aaab, which string_view::find() is not.
  const void* found =
      memmem(haystack.data() + from, haystack.size() - from, needle.data(), needle.size());
  if (found == nullptr) return std::string_view::npos;
  return static_cast<std::size_t>(static_cast<const char*>(found) - haystack.data());
}

}  // namespace fathom::jinja
