// The values of a template: Python's, as far as Jinja shows them. All but namespaces are
// immutable, and no container can hold itself: lists and dicts are built from values that exist
// already, and a namespace cannot be put inside a value. So reference counts free everything.
#pragma once

#include <cstddef>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "jinja/text.h"

namespace fathom::jinja {

class Value;
class Arguments;
struct MacroNode;
struct Scope;

// Wide enough for every 64-bit number of JSON, signed or not.
__extension__ typedef __int128 Integer;

struct Text {
  MarkedText marked;
  Charge charge;
};
struct List;
struct Dict;
struct Namespace;
struct Loop;
struct Callable;

using TextPtr = std::shared_ptr<const Text>;
using ListPtr = std::shared_ptr<const List>;
using DictPtr = std::shared_ptr<const Dict>;

// The value of a missing variable, key or index; `name` (may be null) says which.
struct Undefined {
  TextPtr name;
};
struct None {};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, Integer, double, TextPtr, ListPtr, DictPtr,
                            std::shared_ptr<Namespace>, std::shared_ptr<const Loop>,
                            std::shared_ptr<const Callable>>;

  Value() = default;  // undefined
  template <typename T>
  requires std::is_constructible_v<Data, T> Value(T data)  // NOLINT: implicit by design
      : data_(std::move(data)) {}

  bool is_undefined() const { return std::holds_alternative<Undefined>(data_); }
  bool is_none() const { return std::holds_alternative<None>(data_); }
  // The held alternative, or null.
  template <typename T>
  const T* get() const {
    return std::get_if<T>(&data_);
  }
  const MarkedText* text() const {
    const TextPtr* held = get<TextPtr>();
    return held == nullptr ? nullptr : &(*held)->marked;
  }
  const List* list() const { return pointee<ListPtr>(); }
  const Dict* dict() const { return pointee<DictPtr>(); }
  const Loop* loop() const { return pointee<std::shared_ptr<const Loop>>(); }
  const Callable* callable() const { return pointee<std::shared_ptr<const Callable>>(); }
  Namespace* name_space() const {
    const auto* held = get<std::shared_ptr<Namespace>>();
    return held == nullptr ? nullptr : held->get();
  }
  const Data& data() const { return data_; }

  // What a user reads in an error: "a string", "none", "'tools' (undefined)".
  std::string describe() const;
  // Levels of lists and dicts, 0 for anything else.
  std::size_t depth() const;

 private:
  template <typename Pointer>
  const typename Pointer::element_type* pointee() const {
    const Pointer* held = get<Pointer>();
    return held == nullptr ? nullptr : held->get();
  }

  Data data_;
};

struct List {
  std::vector<Value> items;
  bool tuple = false;  // prints with ( ) and is equal to tuples only
  std::size_t depth = 1;
  Charge charge;
};

struct DictEntry {
  TextPtr key;
  Value value;
};

struct Dict {
  std::vector<DictEntry> entries;  // in the order of their first mention; keys differ
  std::unordered_map<std::string_view, std::size_t> index;  // of entries, if there are many
  std::size_t depth = 1;
  Charge charge;

  const Value* find(std::string_view key) const;
};

struct Namespace {
  std::unordered_map<std::string, Value> attributes;
};

// `loop` of one for statement in one of its rounds.
struct Loop {
  ListPtr items;
  std::size_t index0;
};

// A function: native (with the value it is a method of, if any), or a macro.
struct Callable {
  using Native = Value (*)(Heap& heap, const Value& subject, Arguments& arguments);

  std::string_view name;  // static, or the template's
  Native native = nullptr;
  Value subject = {};
  const MacroNode* macro = nullptr;  // the template's
  std::weak_ptr<Scope> scope = {};   // where the macro was defined
};

// Levels of lists and dicts a value may have, from the request or made by the template.
inline constexpr std::size_t kMaxValueDepth = 200;

// Values within a heap's limits.
Value make_text(Heap& heap, const MarkedText& text);
Value make_text(Heap& heap, std::string_view bytes, bool trusted);
Value make_part(Heap& heap, const MarkedText& text, std::size_t begin, std::size_t count);
Value finish_text(TextBuilder&& builder);
Value make_list(Heap& heap, std::vector<Value> items, bool tuple = false);
// Of entries with equal keys, the first one's place and the last one's value remain.
Value make_dict(Heap& heap, std::vector<DictEntry> entries);
// Every text of it is untrusted. Fails on invalid UTF-8 and on too deep nesting.
Value from_json(Heap& heap, const nlohmann::ordered_json& json);

// A trusted text that no heap accounts for, for the literals of a parsed template.
TextPtr make_literal(std::string_view bytes);

}  // namespace fathom::jinja
