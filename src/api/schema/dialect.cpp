#include "api/schema/dialect.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "api/schema/chat.h"
#include "api/text/text_search.h"
#include "base/check.h"

namespace fathom::api {

namespace {

constexpr size_t kMaxParts = 100'000;

template <typename Request>
const FieldInfo* find_info(const FieldTable<Request>& table, std::string_view name) {
  for (const auto& field : table) {
    if (field.info.name == name) return &field.info;
  }
  return nullptr;
}

}  // namespace

const FieldInfo& chat_field_info(const char* name) {
  const FieldInfo* info = find_info(chat_field_table(), name);
  if (info == nullptr) info = find_info(generation_field_table(), name);
  FATHOM_CHECK(info != nullptr, std::string("no chat field ") + name);
  return *info;
}

Error in_dialect(Error error, const PathNames& names) {
  for (const auto& [chat, dialect] : names) {
    const size_t size = std::string_view(chat).size();
    const size_t at = error.where.find(chat);
    if (at == error.where.npos) continue;
    const bool whole = at + size == error.where.size() || error.where[at + size] == '.' ||
                       error.where[at + size] == '[';
    if (!whole) continue;
    std::string where = error.where;
    where.replace(at, size, dialect);
    if (error.message.starts_with(error.where)) {
      error.message.replace(0, error.where.size(), where);
    }
    error.where = std::move(where);
    break;
  }
  return error;
}

Error at_tool(Error error, const std::vector<std::string>& tool_paths) {
  for (size_t i = 0; i < tool_paths.size(); ++i) {
    const std::string chat_path = index_path("tools", i);
    if (!error.where.starts_with(chat_path)) continue;
    if (error.message.starts_with(chat_path)) {
      error.message.replace(0, chat_path.size(), tool_paths[i]);
    }
    error.where.replace(0, chat_path.size(), tool_paths[i]);
    break;
  }
  return error;
}

std::string tool_left_out(const std::string& path, const std::string& type) {
  return path + ": " + shorten(type, 40) + " is left out; this server has no tools of its own";
}

Result<std::string> required_string(const Json& object, const char* name, const std::string& path) {
  const std::string at = key_path(path, name);
  const Json* value = find_member(object, name);
  if (value == nullptr) return invalid_argument(at + ": expected a string, got nothing", at);
  return read_string(*value, at);
}

Result<std::string> read_short_string(const Json& value, const std::string& path, size_t most) {
  FATHOM_ASSIGN(std::string text, read_string(value, path));
  const size_t characters = count_characters(text);
  if (characters <= most) return text;
  return invalid_argument(
      fmt::format("{}: expected at most {} characters, got {}", path, most, characters), path);
}

std::string left_out_note(const std::string& type) {
  std::string_view what = type;
  if (what.starts_with("input_")) what.remove_prefix(std::string_view("input_").size());
  if (what.ends_with("_url")) what.remove_suffix(std::string_view("_url").size());
  return "[" + shorten(what, 40) + " left out: this model reads text only]";
}

namespace {

// The parts that `read_part` reads, joined by line breaks.
Result<std::string> join_parts(
    const Json& value, const std::string& path,
    const std::function<Result<std::string>(const Json& part, const std::string& type,
                                            const std::string& path)>& read_part) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return expected(path, "a string or an array of text parts", value);
  std::string joined;
  FATHOM_TRY(
      read_array(value, path, kMaxParts, [&](const Json& part, const std::string& at) -> Status {
        if (!part.is_object()) return expected(at, "an object with type and text", part);
        FATHOM_ASSIGN(const std::string type, required_string(part, "type", at));
        FATHOM_ASSIGN(const std::string text, read_part(part, type, at));
        if (&part != &value.front()) joined += '\n';
        joined += text;
        return {};
      }));
  return joined;
}

}  // namespace

Result<std::string> read_tool_output(const Json& value, const std::string& path) {
  return join_parts(
      value, path,
      [](const Json& part, const std::string& type, const std::string& at) -> Result<std::string> {
        const bool text = type == "text" || type == "input_text";
        return text ? required_string(part, "text", at) : left_out_note(type);
      });
}

Result<std::string> read_text_parts(const Json& value, const std::string& path,
                                    std::initializer_list<const char*> types) {
  return join_parts(
      value, path,
      [&](const Json& part, const std::string& type, const std::string& at) -> Result<std::string> {
        if (std::find(types.begin(), types.end(), type) == types.end()) {
          return unsupported(key_path(at, "type"), std::string("expected ") + *types.begin() +
                                                       ", got \"" + shorten(type, 40) +
                                                       "\"; this model reads text only");
        }
        return required_string(part, type == "refusal" ? "refusal" : "text", at);
      });
}

}  // namespace fathom::api
