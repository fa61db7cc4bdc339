#include "jinja/print.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>

#include "jinja/error.h"
#include "jinja/unicode.h"

namespace fathom::jinja {
namespace {

std::string decimal(Integer value) {
  std::string digits;
  const bool negative = value < 0;
  do {
    const int digit = static_cast<int>(value % 10);
    digits.push_back(static_cast<char>('0' + std::abs(digit)));
    value /= 10;
  } while (value != 0);
  if (negative) digits.push_back('-');
  std::reverse(digits.begin(), digits.end());
  return digits;
}

// Python's repr of a float: the shortest digits that read back the same, in plain notation for
// exponents from -4 to 15.
std::string shortest(double value) {
  char buffer[64];
  const auto end =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string_view scientific(buffer, static_cast<std::size_t>(end.ptr - buffer));
  const std::size_t e = scientific.find('e');
  const int exponent = std::atoi(std::string(scientific.substr(e + 1)).c_str());
  if (exponent < -4 || exponent >= 16) return std::string(scientific);
  const auto plain = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  std::string text(buffer, plain.ptr);
  if (text.find('.') == std::string::npos) text += ".0";
  return text;
}

void print_repr(TextBuilder& out, const Value& value);

// Appends `text`, with each byte for which `escape` gives a replacement replaced by it.
template <typename Escape>
void append_escaped(TextBuilder& out, const MarkedText& text, const Escape& escape) {
  constexpr std::size_t kEffortAByte = 8;  // against a plain copy
  out.heap().work(kEffortAByte * text.size());
  std::size_t plain_begin = 0;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = at;
    const std::string replacement = escape(next_code_point(text.view(), end));
    if (!replacement.empty()) {
      out.append(text, plain_begin, at - plain_begin);
      out.append(replacement, text.trusted_at(at));
      plain_begin = end;
    }
    at = end;
  }
  out.append(text, plain_begin, text.size() - plain_begin);
}

void print_quoted(TextBuilder& out, const MarkedText& text) {
  const bool has_single = text.bytes().find('\'') != std::string::npos;
  const bool has_double = text.bytes().find('"') != std::string::npos;
  const char quote = has_single && !has_double ? '"' : '\'';
  const std::string_view quotes(&quote, 1);
  out.append(quotes, false);
  append_escaped(out, text, [quote](char32_t c) -> std::string {
    if (c == '\\') return "\\\\";
    if (c == static_cast<char32_t>(quote)) return std::string("\\") + quote;
    if (c == '\n') return "\\n";
    if (c == '\r') return "\\r";
    if (c == '\t') return "\\t";
    if (c < 0x20 || (c >= 0x7F && c <= 0xA0)) return fmt::format("\\x{:02x}", static_cast<int>(c));
    return "";
  });
  out.append(quotes, false);
}

void print_list(TextBuilder& out, const List& list) {
  out.append(list.tuple ? "(" : "[", false);
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i > 0) out.append(", ", false);
    print_repr(out, list.items[i]);
  }
  if (list.tuple && list.items.size() == 1) out.append(",", false);
  out.append(list.tuple ? ")" : "]", false);
}

void print_dict(TextBuilder& out, const Dict& dict) {
  out.append("{", false);
  for (std::size_t i = 0; i < dict.entries.size(); ++i) {
    if (i > 0) out.append(", ", false);
    print_quoted(out, dict.entries[i].key->marked);
    out.append(": ", false);
    print_repr(out, dict.entries[i].value);
  }
  out.append("}", false);
}

void print_repr(TextBuilder& out, const Value& value) {
  if (const MarkedText* text = value.text()) {
    print_quoted(out, *text);
  } else if (value.is_undefined()) {
    out.append("Undefined", false);
  } else {
    print(out, value);
  }
}

std::string json_escape(char32_t c, bool ensure_ascii) {
  if (c == '"') return "\\\"";
  if (c == '\\') return "\\\\";
  if (c == '\n') return "\\n";
  if (c == '\r') return "\\r";
  if (c == '\t') return "\\t";
  if (c == '\b') return "\\b";
  if (c == '\f') return "\\f";
  if (c < 0x20 || (ensure_ascii && c >= 0x7F && c < 0x10000)) {
    return fmt::format("\\u{:04x}", static_cast<unsigned>(c));
  }
  if (!ensure_ascii || c < 0x7F) return "";
  const unsigned above = static_cast<unsigned>(c) - 0x10000;
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (above >> 10), 0xDC00 + (above & 0x3FF));
}

class JsonPrinter {
 public:
  JsonPrinter(TextBuilder& out, const JsonStyle& style) : out_(out), style_(style) {}

  void print_value(const Value& value, std::size_t level) {
    if (const MarkedText* text = value.text()) {
      print_string(*text);
    } else if (value.list() != nullptr) {
      print_items(*value.list(), level);
    } else if (value.dict() != nullptr) {
      print_entries(*value.dict(), level);
    } else if (const bool* boolean = value.get<bool>()) {
      out_.append(*boolean ? "true" : "false", false);
    } else if (value.is_none()) {
      out_.append("null", false);
    } else if (value.get<Integer>() != nullptr || value.get<double>() != nullptr) {
      print(out_, value);
    } else {
      fail(fmt::format("tojson: expected a JSON value, got {}", value.describe()));
    }
  }

 private:
  void print_string(const MarkedText& text) {
    out_.append("\"", false);
    append_escaped(out_, text, [this](char32_t c) { return json_escape(c, style_.ensure_ascii); });
    out_.append("\"", false);
  }

  void print_items(const List& list, std::size_t level) {
    out_.append("[", false);
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      begin_item(i, level);
      print_value(list.items[i], level + 1);
    }
    end_items("]", list.items.size(), level);
  }

  void print_entries(const Dict& dict, std::size_t level) {
    std::vector<const DictEntry*> entries;
    entries.reserve(dict.entries.size());
    for (const DictEntry& entry : dict.entries) entries.push_back(&entry);
    if (style_.sort_keys) {
      std::sort(entries.begin(), entries.end(), [](const DictEntry* a, const DictEntry* b) {
        return a->key->marked.view() < b->key->marked.view();
      });
    }
    out_.append("{", false);
    for (std::size_t i = 0; i < entries.size(); ++i) {
      begin_item(i, level);
      print_string(entries[i]->key->marked);
      out_.append(style_.key_separator);
      print_value(entries[i]->value, level + 1);
    }
    end_items("}", entries.size(), level);
  }

  void begin_item(std::size_t index, std::size_t level) {
    out_.heap().step();
    if (index > 0) out_.append(style_.item_separator);
    new_line(level + 1);
  }

  void end_items(std::string_view bracket, std::size_t count, std::size_t level) {
    if (count > 0) new_line(level);
    out_.append(bracket, false);
  }

  void new_line(std::size_t level) {
    if (!style_.indent) return;
    out_.append("\n", false);
    for (std::size_t i = 0; i < level; ++i) out_.append(*style_.indent);
  }

  TextBuilder& out_;
  const JsonStyle& style_;
};

struct Print {
  TextBuilder& out;

  void operator()(const Undefined&) const {}
  void operator()(None) const { out.append("None", false); }
  void operator()(bool value) const { out.append(value ? "True" : "False", false); }
  void operator()(Integer value) const { out.append(decimal(value), false); }
  void operator()(double value) const { out.append(shortest(value), false); }
  void operator()(const TextPtr& text) const { out.append(text->marked); }
  void operator()(const ListPtr& list) const { print_list(out, *list); }
  void operator()(const DictPtr& dict) const { print_dict(out, *dict); }
  template <typename Other>
  void operator()(const Other& other) const {
    fail(fmt::format("expected a value that can be printed, got {}", Value(other).describe()));
  }
};

}  // namespace

void print(TextBuilder& out, const Value& value) {
  out.heap().step();
  std::visit(Print{out}, value.data());
}

Value to_text(Heap& heap, const Value& value) {
  if (value.text() != nullptr) return value;
  TextBuilder builder(heap);
  print(builder, value);
  return finish_text(std::move(builder));
}

void print_json(TextBuilder& out, const Value& value, const JsonStyle& style) {
  JsonPrinter(out, style).print_value(value, 0);
}

}  // namespace fathom::jinja
