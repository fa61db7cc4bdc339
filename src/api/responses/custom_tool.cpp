#include "api/responses/custom_tool.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "api/schema/dialect.h"

namespace fathom::api::responses {

namespace {

constexpr const char* kInput = "input";
constexpr std::string_view kBlank = " \t\r\n";

struct Format {
  std::string note;     // for the model
  std::string pattern;  // empty: any text
};

Result<Format> read_format(const Json& value, const std::string& path) {
  if (!value.is_object()) return expected(path, "an object with a type", value);
  FATHOM_ASSIGN(const std::string type, required_string(value, "type", path));
  if (type == "text") return Format{};
  if (type != "grammar") return expected(key_path(path, "type"), "text or grammar", Json(type));
  FATHOM_ASSIGN(const std::string syntax, required_string(value, "syntax", path));
  FATHOM_ASSIGN(const std::string definition, required_string(value, "definition", path));
  if (syntax == "regex") {
    return Format{"It matches this regular expression as a whole:\n" + definition,
                  "^(?:" + definition + ")$"};
  }
  if (syntax != "lark") return expected(key_path(path, "syntax"), "lark or regex", Json(syntax));
  return Format{"It has the form that this grammar for Lark gives:\n" + definition, ""};
}

// The length of `text`'s part that spells `{"input": "`, white space where it may stand; nothing if
// the text differs, npos if more is needed.
std::optional<size_t> match_opening(std::string_view text) {
  constexpr std::string_view kParts[] = {"{", "\"input\"", ":", "\""};
  size_t at = 0;
  for (const std::string_view part : kParts) {
    at = text.find_first_not_of(kBlank, at);
    if (at == text.npos) return text.npos;
    const std::string_view rest = text.substr(at, part.size());
    if (!part.starts_with(rest)) return {};
    if (rest.size() < part.size()) return text.npos;
    at += part.size();
  }
  return at;
}

// The length in bytes of the character or escape that `text`, the rest of a JSON string, begins
// with; 0 if more is needed. The two halves of a surrogate pair are one.
size_t character_size(std::string_view text) {
  constexpr size_t kUnicode = 6;  // \u1234
  if (text.empty()) return 0;
  if (text[0] != '\\') return 1;
  if (text.size() < 2) return 0;
  if (text[1] != 'u') return 2;
  if (text.size() < kUnicode) return 0;
  const bool high = (text[2] == 'd' || text[2] == 'D') &&
                    std::string_view("89abAB").find(text[3]) != std::string_view::npos;
  if (!high) return kUnicode;
  if (text.size() < kUnicode + 1) return 0;
  if (text[kUnicode] != '\\') return kUnicode;
  return text.size() < 2 * kUnicode ? 0 : 2 * kUnicode;
}

}  // namespace

Result<Json> custom_function(const Json& tool, const std::string& path) {
  FATHOM_ASSIGN(const std::string name, required_string(tool, "name", path));
  std::string description;
  if (const Json* text = find_member(tool, "description")) {
    FATHOM_ASSIGN(description, read_string(*text, key_path(path, "description")));
  }
  Format format;
  if (const Json* value = find_member(tool, "format")) {
    FATHOM_ASSIGN(format, read_format(*value, key_path(path, "format")));
  }
  Json input = {{"type", "string"}};
  input["description"] = "The whole input of the tool, as plain text.";
  if (!format.pattern.empty()) input["pattern"] = format.pattern;
  if (!format.note.empty()) {
    input["description"] = input["description"].get<std::string>() + " " + format.note;
  }
  return Json{{"name", name},
              {"description", description},
              {"parameters",
               {{"type", "object"},
                {"properties", {{kInput, std::move(input)}}},
                {"required", Json::array({kInput})},
                {"additionalProperties", false}}}};
}

std::string custom_arguments(const std::string& input) {
  return dump_json({{kInput, input}});
}

std::string CustomInput::take(std::string_view arguments) {
  if (state_ == State::kBehind) return "";
  held_ += arguments;
  if (state_ == State::kBefore) {
    const auto size = match_opening(held_);
    if (size == std::string::npos) return "";
    state_ = size ? State::kText : State::kOther;
    held_.erase(0, size.value_or(0));
  }
  std::string text;
  if (state_ == State::kText) take_text(text);
  return text;
}

void CustomInput::take_text(std::string& text) {
  size_t at = 0;
  while (at < held_.size() && held_[at] != '"') {
    const std::string_view rest = std::string_view(held_).substr(at);
    const size_t size = character_size(rest);
    if (size == 0) break;
    if (size == 1) {
      text += rest[0];
    } else {
      const auto decoded = parse_json("\"" + std::string(rest.substr(0, size)) + "\"");
      text += decoded ? decoded->get<std::string>() : std::string(rest.substr(0, size));
    }
    at += size;
  }
  if (at < held_.size() && held_[at] == '"') {
    state_ = State::kBehind;
    at = held_.size();
  }
  held_.erase(0, at);
}

std::string CustomInput::finish() {
  if (state_ == State::kText || state_ == State::kBehind) return "";
  const auto parsed = parse_json(held_);
  if (parsed && parsed->is_object()) {
    const Json* input = find_member(*parsed, kInput);
    if (input != nullptr && input->is_string()) return input->get<std::string>();
    if (parsed->empty()) return "";
  }
  return std::exchange(held_, {});
}

}  // namespace fathom::api::responses
