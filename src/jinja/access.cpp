// Subscripts, attributes and slices: the access half of operators.h.
#include <fmt/format.h>

#include <algorithm>

#include "jinja/arguments.h"
#include "jinja/builtins.h"
#include "jinja/error.h"
#include "jinja/operators.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

// More than any text or list can hold, and far from overflow.
constexpr long long kFarAway = 1LL << 48;

// The position that Python's index means, or -1 outside of [0, size).
long long position_of(Integer index, std::size_t size) {
  const auto length = static_cast<long long>(size);
  long long position = clamp_integer(index, kFarAway);
  if (position < 0) position += length;
  return position >= 0 && position < length ? position : -1;
}

Value list_item(const List& list, Integer index) {
  const long long position = position_of(index, list.items.size());
  return position < 0 ? Value() : list.items[static_cast<std::size_t>(position)];
}

Value character(Heap& heap, const MarkedText& text, Integer index) {
  heap.work(text.size());
  const long long position = position_of(index, count_code_points(text.view()));
  if (position < 0) return {};
  const std::size_t begin = byte_offset(text.view(), static_cast<std::size_t>(position));
  std::size_t end = begin;
  next_code_point(text.view(), end);
  return make_part(heap, text, begin, end - begin);
}

Value loop_attribute(const Loop& loop, std::string_view name) {
  const std::size_t length = loop.items->items.size();
  if (name == "index") return Integer{loop.index0 + 1};
  if (name == "index0") return Integer{loop.index0};
  if (name == "revindex") return Integer{length - loop.index0};
  if (name == "revindex0") return Integer{length - loop.index0 - 1};
  if (name == "first") return loop.index0 == 0;
  if (name == "last") return loop.index0 + 1 == length;
  if (name == "length") return Integer{length};
  if (name == "previtem" && loop.index0 > 0) return loop.items->items[loop.index0 - 1];
  if (name == "nextitem" && loop.index0 + 1 < length) return loop.items->items[loop.index0 + 1];
  return {};
}

// A method or a value's own attribute; undefined if there is none.
Value own_attribute(const Value& object, const TextPtr& name) {
  const std::string_view bytes = name->marked.view();
  if (const Namespace* space = object.name_space()) {
    const auto found = space->attributes.find(std::string(bytes));
    return found == space->attributes.end() ? Undefined{name} : found->second;
  }
  if (object.loop() != nullptr) {
    const Value value = loop_attribute(*object.loop(), bytes);
    if (!value.is_undefined()) return value;
  }
  if (const NamedNative* method = find_method(object, bytes)) {
    return std::make_shared<const Callable>(Callable{method->name, method->function, object});
  }
  return Undefined{name};
}

Value dict_item(const Value& object, const Value& key) {
  const Value* found = object.dict() == nullptr || key.text() == nullptr
                           ? nullptr
                           : object.dict()->find(key.text()->view());
  return found == nullptr ? Value() : *found;
}

void refuse_undefined(const Value& object, const std::string& wanted) {
  if (!object.is_undefined()) return;
  fail(fmt::format("expected a value with {}, got {}", wanted, object.describe()));
}

// What a key is called in an error.
std::string shown_key(const Value& key) {
  constexpr std::size_t kShownBytes = 60;
  if (key.text() == nullptr || key.text()->size() > kShownBytes) return "an item";
  return "'" + key.text()->bytes() + "'";
}

// A slice of a sequence, in Python's sense: `count` positions from `first` in steps of `stride`.
struct Slice {
  long long first;
  long long stride;
  std::size_t count;
};

Slice resolve_slice(std::size_t size, const Value* start, const Value* stop, const Value* step) {
  const auto length = static_cast<long long>(size);
  const long long stride =
      clamp_integer(integer_argument(step, "slice step").value_or(1), kFarAway);
  if (stride == 0) fail("slice: expected a step other than zero, got zero");
  const long long lowest = stride > 0 ? 0 : -1;
  const long long highest = stride > 0 ? length : length - 1;
  const auto bound = [&](const Value* value, long long fallback) {
    const auto given = integer_argument(value, "slice bound");
    if (!given) return fallback;
    const long long position = clamp_integer(*given, kFarAway);
    return std::clamp(position < 0 ? position + length : position, lowest, highest);
  };
  const long long first = bound(start, stride > 0 ? lowest : highest);
  const long long last = bound(stop, stride > 0 ? highest : lowest);
  const long long distance = stride > 0 ? last - first : first - last;
  const long long magnitude = stride > 0 ? stride : -stride;
  const long long count = distance > 0 ? (distance + magnitude - 1) / magnitude : 0;
  return {first, stride, static_cast<std::size_t>(count)};
}

Value text_slice(Heap& heap, const MarkedText& text, const Value* start, const Value* stop,
                 const Value* step) {
  heap.work(text.size());
  const Slice part = resolve_slice(count_code_points(text.view()), start, stop, step);
  if (part.count == 0) return make_text(heap, "", true);
  std::size_t at = byte_offset(text.view(), static_cast<std::size_t>(part.first));
  if (part.stride == 1) {
    const std::size_t bytes = byte_offset(text.view().substr(at), part.count);
    return make_part(heap, text, at, bytes);
  }
  TextBuilder builder(heap);
  for (std::size_t i = 0; i < part.count; ++i) {
    std::size_t end = at;
    next_code_point(text.view(), end);
    builder.append(text, at, end - at);
    if (i + 1 < part.count) at = move_code_points(text.view(), at, part.stride);
  }
  return finish_text(std::move(builder));
}

Value list_slice(Heap& heap, const List& list, const Value* start, const Value* stop,
                 const Value* step) {
  const Slice part = resolve_slice(list.items.size(), start, stop, step);
  heap.work(part.count * sizeof(Value));
  std::vector<Value> items;
  items.reserve(part.count);
  for (std::size_t i = 0; i < part.count; ++i) {
    const long long at = part.first + static_cast<long long>(i) * part.stride;
    items.push_back(list.items[static_cast<std::size_t>(at)]);
  }
  return make_list(heap, std::move(items), list.tuple);
}

}  // namespace

Value subscript(Heap& heap, const Value& object, const Value& key) {
  refuse_undefined(object, shown_key(key));
  const std::optional<Integer> index = as_integer(key);
  if (index && object.list() != nullptr) return list_item(*object.list(), *index);
  if (index && object.text() != nullptr) return character(heap, *object.text(), *index);
  Value item = dict_item(object, key);
  if (item.is_undefined() && key.text() != nullptr) {
    return own_attribute(object, *key.get<TextPtr>());
  }
  return item;
}

Value attribute(Heap& heap, const Value& object, const TextPtr& name) {
  heap.step();
  refuse_undefined(object, shown_key(name));
  Value own = own_attribute(object, name);
  if (!own.is_undefined()) return own;
  Value item = dict_item(object, name);
  return item.is_undefined() ? own : item;
}

Value slice(Heap& heap, const Value& object, const Value* start, const Value* stop,
            const Value* step) {
  refuse_undefined(object, "a slice");
  if (object.text() != nullptr) return text_slice(heap, *object.text(), start, stop, step);
  if (object.list() != nullptr) return list_slice(heap, *object.list(), start, stop, step);
  fail(fmt::format("slice: expected a string or a list, got {}", object.describe()));
}

}  // namespace fathom::jinja
