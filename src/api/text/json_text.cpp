#include "api/text/json_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

namespace fathom::api {

namespace {

constexpr size_t kMessageBytes = 300;

struct Place {
  size_t line = 1;
  size_t column = 1;  // in bytes
};

Place place_of(std::string_view text, size_t offset) {
  Place place;
  for (size_t i = 0; i < offset && i < text.size(); ++i) {
    ++place.column;
    if (text[i] == '\n') place = {place.line + 1, 1};
  }
  return place;
}

Error refusal(std::string_view text, size_t offset, const std::string& what) {
  const Place place = place_of(text, offset);
  return invalid_argument(
      fmt::format("request body: {} at line {}, column {}", what, place.line, place.column));
}

// The parser would build everything before we could look at it, so the limits are checked on the
// text first. A bracket or comma starts a value; commas within an object count its keys.
class LimitScan {
 public:
  LimitScan(std::string_view text, const JsonLimits& limits) : text_(text), limits_(limits) {}

  Status run() {
    for (size_t i = 0; i < text_.size(); ++i) {
      if (text_[i] == '"') {
        skip_string(i);
      } else if (const char* limit = take(text_[i])) {
        return refusal(text_, i, fmt::format("expected at most {}, got more", message(limit)));
      }
    }
    return {};
  }

 private:
  void skip_string(size_t& i) const {
    for (++i; i < text_.size() && text_[i] != '"'; ++i) {
      if (text_[i] == '\\') ++i;
    }
  }

  // The name of the limit that this byte goes over, or null.
  const char* take(char c) {
    if (c == '{' || c == '[') {
      keys_.push_back(c == '{' ? 1 : 0);
      if (keys_.size() > limits_.max_depth) return "depth";
    }
    if ((c == '}' || c == ']') && !keys_.empty()) {
      key_pairs_ += keys_.back() * keys_.back();
      keys_.pop_back();
    }
    if (c == ',' && !keys_.empty() && keys_.back() > 0) ++keys_.back();
    if (c == ',' || c == '{' || c == '[') ++values_;
    if (values_ > limits_.max_values) return "values";
    const bool many_keys = !keys_.empty() && keys_.back() > limits_.max_keys;
    return many_keys || key_pairs_ > limits_.max_key_pairs ? "keys" : nullptr;
  }

  std::string message(std::string_view limit) const {
    if (limit == "depth") return fmt::format("{} nested arrays and objects", limits_.max_depth);
    if (limit == "values") return fmt::format("{} values", limits_.max_values);
    return fmt::format("{} keys in an object", limits_.max_keys);
  }

  std::string_view text_;
  const JsonLimits& limits_;
  std::vector<size_t> keys_;  // of each open object; 0: an array
  size_t values_ = 1;
  size_t key_pairs_ = 0;
};

// nlohmann's text without its "[json.exception.parse_error.101] parse error at ...: " front.
std::string reason(const nlohmann::detail::exception& error) {
  std::string_view what = error.what();
  if (const size_t close = what.find("] "); close != what.npos) what.remove_prefix(close + 2);
  if (what.starts_with("parse error")) {
    if (const size_t colon = what.find(": "); colon != what.npos) what.remove_prefix(colon + 2);
  }
  return shorten(what, kMessageBytes);
}

}  // namespace

Result<Json> parse_json(std::string_view text, JsonLimits limits) {
  FATHOM_TRY(LimitScan(text, limits).run());
  try {
    return Json::parse(text.begin(), text.end());
  } catch (const Json::parse_error& error) {
    return refusal(text, error.byte > 0 ? error.byte - 1 : 0,
                   "expected JSON, got " + reason(error));
  } catch (const Json::exception& error) {  // a number beyond a double
    return invalid_argument("request body: expected JSON, got " + reason(error));
  }
}

std::string dump_json(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void ObjectText::add(const Json& members) {
  if (members.empty()) return;
  separate();
  const std::string text = dump_json(members);
  out_.append(text, 1, text.size() - 2);  // without its braces
}

void ObjectText::name(std::string_view name) {
  separate();
  out_ += dump_json(name);
  out_ += ':';
}

void ObjectText::separate() {
  if (!std::exchange(first_, false)) out_ += ',';
}

const char* json_type_name(const Json& value) {
  switch (value.type()) {
    case Json::value_t::null:
      return "null";
    case Json::value_t::object:
      return "an object";
    case Json::value_t::array:
      return "an array";
    case Json::value_t::string:
      return "a string";
    case Json::value_t::boolean:
      return "a boolean";
    default:
      return "a number";
  }
}

std::string json_excerpt(const Json& value) {
  constexpr size_t kExcerptBytes = 40;
  if (value.is_array() || value.is_object()) return json_type_name(value);
  if (value.is_string()) {
    return "\"" + shorten(value.get_ref<const std::string&>(), kExcerptBytes) + "\"";
  }
  return shorten(dump_json(value), kExcerptBytes);
}

std::string shorten(std::string_view text, size_t max_bytes) {
  if (text.size() <= max_bytes) return std::string(text);
  size_t end = max_bytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

std::string printable(std::string_view text, size_t max_bytes) {
  std::string line = shorten(text, max_bytes);
  std::replace_if(
      line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return line;
}

}  // namespace fathom::api
