#include "jinja/value.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/utf8.h"
#include "jinja/error.h"

namespace fathom::jinja {
namespace {

// Up to so many entries a look through them is as fast as a hash table.
constexpr std::size_t kUnindexedEntries = 8;

std::size_t nested_depth(const Value& value, std::size_t depth_so_far) {
  if (value.name_space() != nullptr)
    fail("expected a plain value in a list or dict, got a namespace");
  const std::size_t depth = std::max(depth_so_far, value.depth() + 1);
  if (depth > kMaxValueDepth) {
    fail_limit(fmt::format("expected lists and dicts at most {} levels deep, got deeper ones",
                           kMaxValueDepth));
  }
  return depth;
}

Value from_json_at(Heap& heap, const nlohmann::ordered_json& json, std::size_t depth);

Value list_from_json(Heap& heap, const nlohmann::ordered_json& json, std::size_t depth) {
  std::vector<Value> items;
  items.reserve(json.size());
  for (const auto& item : json) items.push_back(from_json_at(heap, item, depth));
  return make_list(heap, std::move(items));
}

TextPtr text_from_json(Heap& heap, const std::string& bytes) {
  if (valid_utf8_prefix(bytes) != bytes.size())
    fail("expected UTF-8 in the request's strings, got other bytes");
  const Value text = make_text(heap, bytes, false);
  return *text.get<TextPtr>();
}

Value dict_from_json(Heap& heap, const nlohmann::ordered_json& json, std::size_t depth) {
  std::vector<DictEntry> entries;
  entries.reserve(json.size());
  for (const auto& [key, value] : json.items()) {
    entries.push_back({text_from_json(heap, key), from_json_at(heap, value, depth)});
  }
  return make_dict(heap, std::move(entries));
}

Value from_json_at(Heap& heap, const nlohmann::ordered_json& json, std::size_t depth) {
  if (depth > kMaxValueDepth) {
    fail_limit(
        fmt::format("expected a request at most {} levels deep, got a deeper one", kMaxValueDepth));
  }
  using Type = nlohmann::ordered_json::value_t;
  switch (json.type()) {
    case Type::object:
      return dict_from_json(heap, json, depth + 1);
    case Type::array:
      return list_from_json(heap, json, depth + 1);
    case Type::string:
      return text_from_json(heap, json.get_ref<const std::string&>());
    case Type::boolean:
      return json.get<bool>();
    case Type::number_integer:
      return Integer{json.get<std::int64_t>()};
    case Type::number_unsigned:
      return Integer{json.get<std::uint64_t>()};
    case Type::number_float:
      if (!std::isfinite(json.get<double>())) fail("expected finite numbers in the request");
      return json.get<double>();
    case Type::null:
      return None{};
    case Type::binary:
    case Type::discarded:
      break;
  }
  fail("expected JSON values in the request, got something else");
}

struct Describe {
  std::string operator()(const Undefined& value) const {
    if (value.name == nullptr) return "an undefined value";
    constexpr std::size_t kShownBytes = 60;
    const std::string& name = value.name->marked.bytes();
    if (name.size() > kShownBytes) return "an undefined value with a long name";
    return "'" + name + "', which is undefined";
  }
  std::string operator()(None) const { return "none"; }
  std::string operator()(bool) const { return "a boolean"; }
  std::string operator()(Integer) const { return "an integer"; }
  std::string operator()(double) const { return "a float"; }
  std::string operator()(const TextPtr&) const { return "a string"; }
  std::string operator()(const ListPtr& list) const { return list->tuple ? "a tuple" : "a list"; }
  std::string operator()(const DictPtr&) const { return "a dict"; }
  std::string operator()(const std::shared_ptr<Namespace>&) const { return "a namespace"; }
  std::string operator()(const std::shared_ptr<const Loop>&) const { return "a loop"; }
  std::string operator()(const std::shared_ptr<const Callable>&) const { return "a function"; }
};

}  // namespace

std::string Value::describe() const {
  return std::visit(Describe{}, data_);
}

std::size_t Value::depth() const {
  if (list() != nullptr) return list()->depth;
  if (dict() != nullptr) return dict()->depth;
  return 0;
}

const Value* Dict::find(std::string_view key) const {
  if (entries.size() > kUnindexedEntries) {
    const auto found = index.find(key);
    return found == index.end() ? nullptr : &entries[found->second].value;
  }
  for (const DictEntry& entry : entries) {
    if (entry.key->marked.view() == key) return &entry.value;
  }
  return nullptr;
}

Value finish_text(TextBuilder&& builder) {
  Charge charge = builder.take_charge();
  charge.add(sizeof(Text));
  return std::make_shared<const Text>(Text{builder.take_text(), std::move(charge)});
}

Value make_text(Heap& heap, const MarkedText& text) {
  return make_part(heap, text, 0, text.size());
}

Value make_text(Heap& heap, std::string_view bytes, bool trusted) {
  TextBuilder builder(heap);
  builder.append(bytes, trusted);
  return finish_text(std::move(builder));
}

Value make_part(Heap& heap, const MarkedText& text, std::size_t begin, std::size_t count) {
  TextBuilder builder(heap);
  builder.append(text, begin, count);
  return finish_text(std::move(builder));
}

Value make_list(Heap& heap, std::vector<Value> items, bool tuple) {
  const std::size_t bytes = sizeof(List) + items.size() * sizeof(Value);
  heap.work(bytes);
  Charge charge(&heap, bytes);
  std::size_t depth = 1;
  for (const Value& item : items) depth = nested_depth(item, depth);
  return std::make_shared<const List>(List{std::move(items), tuple, depth, std::move(charge)});
}

Value make_dict(Heap& heap, std::vector<DictEntry> entries) {
  constexpr std::size_t kIndexBytesAnEntry = 64;
  const std::size_t bytes =
      sizeof(Dict) + entries.size() * (sizeof(DictEntry) + kIndexBytesAnEntry);
  heap.work(bytes);
  auto dict = std::make_shared<Dict>();
  dict->charge = Charge(&heap, bytes);
  dict->entries.reserve(entries.size());
  for (DictEntry& entry : entries) {
    dict->depth = nested_depth(entry.value, dict->depth);
    const auto [place, is_new] =
        dict->index.try_emplace(entry.key->marked.view(), dict->entries.size());
    if (is_new) {
      dict->entries.push_back(std::move(entry));
    } else {
      dict->entries[place->second].value = std::move(entry.value);
    }
  }
  if (dict->entries.size() <= kUnindexedEntries) dict->index = {};
  return DictPtr(std::move(dict));
}

Value from_json(Heap& heap, const nlohmann::ordered_json& json) {
  return from_json_at(heap, json, 0);
}

TextPtr make_literal(std::string_view bytes) {
  return std::make_shared<const Text>(Text{MarkedText(bytes, true), Charge()});
}

}  // namespace fathom::jinja
