#include <nlohmann/json.hpp>

#include "api/schema/chat.h"
#include "api/schema/dialect.h"

namespace fathom::api {

namespace {

constexpr size_t kMaxMessages = 100'000;
constexpr size_t kMaxParts = 100'000;
constexpr size_t kMaxCalls = 1024;

// An assistant's refusal is what it said; of a tool's result what is no text leaves a note.
Status read_text_part(const Json& part, const std::string& role, const std::string& path,
                      std::string& text) {
  if (!part.is_object()) return expected(path, "an object with type and text", part);
  const std::string type_path = key_path(path, "type");
  const Json* type = find_member(part, "type");
  if (type == nullptr)
    return invalid_argument(type_path + ": expected \"text\", got nothing", type_path);
  FATHOM_ASSIGN(const std::string kind, read_string(*type, type_path));
  if (kind == "refusal" && role == "assistant") {
    FATHOM_ASSIGN(text, required_string(part, "refusal", path));
    return {};
  }
  if (kind != "text" && role == "tool") {
    text = left_out_note(kind);
    return {};
  }
  if (kind != "text") {
    return unsupported(type_path, "expected \"text\", got " + json_excerpt(*type) +
                                      "; this model reads text only");
  }
  const std::string text_path = key_path(path, "text");
  const Json* value = find_member(part, "text");
  if (value == nullptr)
    return invalid_argument(text_path + ": expected a string, got nothing", text_path);
  FATHOM_ASSIGN(text, read_string(*value, text_path));
  return {};
}

Result<std::string> read_content(const Json& value, const std::string& role,
                                 const std::string& path) {
  if (value.is_string()) return value.get<std::string>();
  if (!value.is_array()) return expected(path, "a string or an array of text parts", value);
  std::string joined;
  bool first = true;
  FATHOM_TRY(read_array(value, path, kMaxParts, [&](const Json& part, const std::string& at) {
    std::string text;
    Status status = read_text_part(part, role, at, text);
    if (!first) joined += '\n';
    first = false;
    joined += text;
    return status;
  }));
  return joined;
}

Status read_optional_string(const Json& object, const char* name, const std::string& path,
                            std::optional<std::string>& out) {
  const Json* value = find_member(object, name);
  if (value == nullptr) return {};
  FATHOM_ASSIGN(out, read_string(*value, key_path(path, name)));
  return {};
}

Result<ToolCall> read_tool_call(const Json& value, const std::string& path) {
  if (!value.is_object()) return expected(path, "an object", value);
  ToolCall call;
  if (const Json* id = find_member(value, "id")) {
    FATHOM_ASSIGN(call.id, read_string(*id, key_path(path, "id")));
  }
  const std::string function_path = key_path(path, "function");
  const Json* function = find_member(value, "function");
  if (function == nullptr || !function->is_object()) {
    return expected(function_path, "an object with name and arguments",
                    function == nullptr ? Json() : *function);
  }
  FATHOM_ASSIGN(call.name, required_string(*function, "name", function_path));
  FATHOM_ASSIGN(call.arguments, required_string(*function, "arguments", function_path));
  return call;
}

Result<std::string> read_role(const Json& message, const std::string& path) {
  FATHOM_ASSIGN(std::string role, required_string(message, "role", path));
  if (role == "developer") role = "system";
  for (const char* known : {"system", "user", "assistant", "tool"}) {
    if (role == known) return role;
  }
  return expected(key_path(path, "role"), "system, developer, user, assistant or tool", Json(role));
}

Result<ChatMessage> read_message(const Json& value, const std::string& path) {
  if (!value.is_object()) return expected(path, "an object with role and content", value);
  ChatMessage message;
  FATHOM_ASSIGN(message.role, read_role(value, path));
  const std::string content_path = key_path(path, "content");
  if (const Json* content = find_member(value, "content")) {
    FATHOM_ASSIGN(message.content, read_content(*content, message.role, content_path));
  }
  if (message.role == "assistant" && !message.content) {
    FATHOM_TRY(read_optional_string(value, "refusal", path, message.content));
  }
  FATHOM_TRY(read_optional_string(value, "name", path, message.name));
  FATHOM_TRY(read_optional_string(value, "reasoning_content", path, message.reasoning_content));
  if (!message.reasoning_content) {
    FATHOM_TRY(read_optional_string(value, "reasoning", path, message.reasoning_content));
  }
  FATHOM_TRY(read_optional_string(value, "tool_call_id", path, message.tool_call_id));
  if (const Json* calls = find_member(value, "tool_calls"); calls && message.role == "assistant") {
    FATHOM_TRY(read_array(*calls, key_path(path, "tool_calls"), kMaxCalls,
                          [&](const Json& item, const std::string& at) -> Status {
                            FATHOM_ASSIGN(ToolCall call, read_tool_call(item, at));
                            message.tool_calls.push_back(std::move(call));
                            return {};
                          }));
  }
  if (const Json* prefix = find_member(value, "prefix")) {
    FATHOM_ASSIGN(message.prefix, read_bool(*prefix, key_path(path, "prefix")));
  }
  if (!message.content && message.role != "assistant") {
    return invalid_argument(content_path + ": expected a string or an array of text parts, got " +
                                (value.contains("content") ? "null" : "nothing"),
                            content_path);
  }
  return message;
}

}  // namespace

Status read_messages(const Json& value, const std::string& path,
                     std::vector<ChatMessage>& messages) {
  if (value.is_array() && value.empty()) {
    return invalid_argument(path + ": expected at least one message, got none", path);
  }
  return read_array(value, path, kMaxMessages,
                    [&](const Json& item, const std::string& at) -> Status {
                      FATHOM_ASSIGN(ChatMessage message, read_message(item, at));
                      messages.push_back(std::move(message));
                      return {};
                    });
}

}  // namespace fathom::api
