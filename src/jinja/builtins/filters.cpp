// Jinja's filters of lists and dicts, and find_filter() over all filters.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/print.h"
#include "jinja/strings.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

bool is_index(std::string_view part) {
  constexpr std::size_t kMostDigits = 9;
  return !part.empty() && part.size() <= kMostDigits &&
         std::all_of(part.begin(), part.end(), [](char c) { return c >= '0' && c <= '9'; });
}

// item.a.b for the path "a.b"; digits are indices. The item itself without a path.
Value at_path(Heap& heap, const Value& item, const Value* path) {
  if (path == nullptr || path->is_none()) return item;
  if (as_integer(*path)) return subscript(heap, item, *path);
  const Value parts = split(heap, required_text(path, "filter", "attribute"),
                            &make_literal(".")->marked, std::nullopt);
  Value value = item;
  for (const Value& part : parts.list()->items) {
    const std::string& name = part.text()->bytes();
    const Value key = is_index(name) ? Value(Integer{std::stoi(name)}) : part;
    value = subscript(heap, value, key);
  }
  return value;
}

// What sort, unique, min and max compare: the item's attribute, in lower case unless told not to.
Value sort_key(Heap& heap, const Value& item, const Value* path, bool case_sensitive) {
  Value key = at_path(heap, item, path);
  if (case_sensitive || key.text() == nullptr) return key;
  return change_case(heap, *key.text(), LetterCase::kLower);
}

Value length_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("length", {});
  if (const List* list = subject.list()) return Integer{list->items.size()};
  if (const Dict* dict = subject.dict()) return Integer{dict->entries.size()};
  if (const MarkedText* text = subject.text()) {
    heap.work(text->size());
    return Integer{count_code_points(text->view())};
  }
  if (const Loop* loop = subject.loop()) return Integer{loop->items->items.size()};
  if (subject.is_undefined()) return Integer{0};
  fail(fmt::format("length: expected a string, list or dict, got {}", subject.describe()));
}

Value default_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("default", {"default_value", "boolean"});
  const bool also_false = boolean_argument(bound[1], "boolean", false);
  if (!subject.is_undefined() && (!also_false || truthy(subject))) return subject;
  return bound[0] == nullptr ? make_text(heap, "", true) : *bound[0];
}

Value first_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("first", {});
  if (subject.text() != nullptr) return subscript(heap, subject, Integer{0});
  const ListPtr items = items_of(heap, subject);
  return items->items.empty() ? Value() : items->items.front();
}

Value last_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("last", {});
  if (subject.text() != nullptr) return subscript(heap, subject, Integer{-1});
  const ListPtr items = items_of(heap, subject);
  return items->items.empty() ? Value() : items->items.back();
}

Value list_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("list", {});
  return make_list(heap, items_of(heap, subject)->items);
}

Value reverse_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  arguments.bind("reverse", {});
  if (subject.text() != nullptr) return reverse_text(heap, *subject.text());
  std::vector<Value> items = items_of(heap, subject)->items;
  std::reverse(items.begin(), items.end());
  return make_list(heap, std::move(items));
}

Value join_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("join", {"d", "attribute"});
  const Value separator =
      bound[0] == nullptr ? make_text(heap, "", true) : to_text(heap, *bound[0]);
  const ListPtr items = items_of(heap, subject);
  if (bound[1] == nullptr) return join(heap, *items, *separator.text());
  std::vector<Value> parts;
  for (const Value& item : items->items) parts.push_back(at_path(heap, item, bound[1]));
  return join(heap, *make_list(heap, std::move(parts)).list(), *separator.text());
}

Value items_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  if (subject.is_undefined()) return make_list(heap, {});
  if (subject.dict() == nullptr) {
    fail(fmt::format("items: expected a dict, got {}", subject.describe()));
  }
  return find_method(subject, "items")->function(heap, subject, arguments);
}

struct Keyed {
  Value key;
  Value item;
};

Value sorted(Heap& heap, std::vector<Keyed> keyed, bool reverse) {
  std::stable_sort(keyed.begin(), keyed.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? order(heap, b.key, a.key) < 0 : order(heap, a.key, b.key) < 0;
  });
  std::vector<Value> items;
  items.reserve(keyed.size());
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return make_list(heap, std::move(items));
}

Value sort_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("sort", {"reverse", "case_sensitive", "attribute"});
  const bool case_sensitive = boolean_argument(bound[1], "case_sensitive", false);
  std::vector<Keyed> keyed;
  for (const ListPtr list = items_of(heap, subject); const Value& item : list->items) {
    keyed.push_back({sort_key(heap, item, bound[2], case_sensitive), item});
  }
  return sorted(heap, std::move(keyed), boolean_argument(bound[0], "reverse", false));
}

Value dictsort_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("dictsort", {"case_sensitive", "by", "reverse"});
  const bool case_sensitive = boolean_argument(bound[0], "case_sensitive", false);
  const MarkedText* by = text_argument(bound[1], "by");
  const bool by_value = by != nullptr && by->view() == "value";
  if (!by_value && by != nullptr && by->view() != "key") {
    fail("dictsort: expected 'key' or 'value' to sort by, got another");
  }
  Arguments none;
  const Value pairs = items_filter(heap, subject, none);
  const Value part = Integer{by_value ? 1 : 0};
  std::vector<Keyed> keyed;
  for (const Value& pair : pairs.list()->items) {
    keyed.push_back({sort_key(heap, pair, &part, case_sensitive), pair});
  }
  return sorted(heap, std::move(keyed), boolean_argument(bound[2], "reverse", false));
}

Value unique_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("unique", {"case_sensitive", "attribute"});
  const bool case_sensitive = boolean_argument(bound[0], "case_sensitive", false);
  std::vector<Value> keys;
  std::vector<Value> items;
  for (const ListPtr list = items_of(heap, subject); const Value& item : list->items) {
    Value key = sort_key(heap, item, bound[1], case_sensitive);
    const bool seen = std::any_of(keys.begin(), keys.end(),
                                  [&](const Value& other) { return equal(heap, key, other); });
    if (seen) continue;
    keys.push_back(std::move(key));
    items.push_back(item);
  }
  return make_list(heap, std::move(items));
}

// The item whose key comes first (sign 1) or last (sign -1).
template <int sign>
Value extreme_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("min or max", {"case_sensitive", "attribute"});
  const bool case_sensitive = boolean_argument(bound[0], "case_sensitive", false);
  Value best;
  Value best_key;
  for (const ListPtr list = items_of(heap, subject); const Value& item : list->items) {
    Value key = sort_key(heap, item, bound[1], case_sensitive);
    if (!best_key.is_undefined() && sign * order(heap, key, best_key) >= 0) continue;
    best = item;
    best_key = std::move(key);
  }
  return best;
}

Value sum_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const auto bound = arguments.bind("sum", {"attribute", "start"});
  Value total = bound[1] == nullptr ? Value(Integer{0}) : *bound[1];
  for (const ListPtr list = items_of(heap, subject); const Value& item : list->items) {
    total = arithmetic(heap, Arithmetic::kAdd, total, at_path(heap, item, bound[0]));
  }
  return total;
}

// The first positional argument, a name, taken out of the arguments.
std::string take_name(Arguments& arguments, std::string_view callee, std::string_view what) {
  if (arguments.positional.empty()) fail(fmt::format("{}: expected {}, got none", callee, what));
  const std::string name = required_text(&arguments.positional[0], callee, what).bytes();
  arguments.positional.erase(arguments.positional.begin());
  return name;
}

Value map_attribute(Heap& heap, const List& items, const Arguments& arguments) {
  const auto bound = arguments.bind("map", {"attribute", "default"});
  std::vector<Value> values;
  for (const Value& item : items.items) {
    Value value = at_path(heap, item, bound[0]);
    if (value.is_undefined() && bound[1] != nullptr) value = *bound[1];
    values.push_back(std::move(value));
  }
  return make_list(heap, std::move(values));
}

Value map_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  const ListPtr items = items_of(heap, subject);
  if (arguments.positional.empty()) return map_attribute(heap, *items, arguments);
  const NamedNative& filter = require_filter(take_name(arguments, "map", "a filter"));
  if (filter.function == map_filter) fail("map: expected a filter other than map itself");
  std::vector<Value> values;
  for (const Value& item : items->items) {
    heap.step();
    values.push_back(filter.function(heap, item, arguments));
  }
  return make_list(heap, std::move(values));
}

// select, reject (by_attribute false: the item is tested), selectattr and rejectattr.
template <bool wanted, bool by_attribute>
Value select_filter(Heap& heap, const Value& subject, Arguments& arguments) {
  Value path;
  if (by_attribute) {
    path = required(arguments.positional.empty() ? nullptr : &arguments.positional[0],
                    "selectattr or rejectattr", "attribute");
    arguments.positional.erase(arguments.positional.begin());
  }
  const NamedNative* test = nullptr;
  if (!arguments.positional.empty()) test = &require_test(take_name(arguments, "select", "a test"));
  std::vector<Value> chosen;
  for (const ListPtr list = items_of(heap, subject); const Value& item : list->items) {
    heap.step();
    const Value value = by_attribute ? at_path(heap, item, &path) : item;
    const bool passes = truthy(test == nullptr ? value : test->function(heap, value, arguments));
    if (passes == wanted) chosen.push_back(item);
  }
  return make_list(heap, std::move(chosen));
}

Value safe_filter(Heap&, const Value& subject, Arguments& arguments) {
  arguments.bind("safe", {});
  return subject;
}

constexpr NamedNative kFilters[] = {
    {"length", length_filter},
    {"count", length_filter},
    {"default", default_filter},
    {"d", default_filter},
    {"first", first_filter},
    {"last", last_filter},
    {"list", list_filter},
    {"reverse", reverse_filter},
    {"join", join_filter},
    {"items", items_filter},
    {"sort", sort_filter},
    {"dictsort", dictsort_filter},
    {"unique", unique_filter},
    {"min", extreme_filter<1>},
    {"max", extreme_filter<-1>},
    {"sum", sum_filter},
    {"map", map_filter},
    {"select", select_filter<true, false>},
    {"reject", select_filter<false, false>},
    {"selectattr", select_filter<true, true>},
    {"rejectattr", select_filter<false, true>},
    {"safe", safe_filter},
};

}  // namespace

const NamedNative* find_filter(std::string_view name) {
  if (const NamedNative* filter = find_named(kFilters, name)) return filter;
  if (const NamedNative* filter = find_text_filter(name)) return filter;
  return find_number_filter(name);
}

const NamedNative& require_filter(std::string_view name) {
  const NamedNative* filter = find_filter(name);
  if (filter == nullptr) fail(fmt::format("expected the name of a filter, got '{}'", name));
  return *filter;
}

}  // namespace fathom::jinja
