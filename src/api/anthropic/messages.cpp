#include "api/anthropic/messages.h"

#include <nlohmann/json.hpp>

#include "api/schema/dialect.h"

namespace fathom::api::anthropic {

namespace {

constexpr size_t kMaxMessages = 100'000;
constexpr size_t kMaxBlocks = 100'000;

void append_line(Json& message, const char* name, const std::string& text) {
  if (!message.contains(name)) {
    message[name] = text;
  } else {
    message[name].get_ref<std::string&>() += "\n" + text;
  }
}

Error unknown_block(const std::string& path, const std::string& type, const char* wanted) {
  return unsupported(key_path(path, "type"),
                     std::string("expected ") + wanted + ", got \"" + shorten(type, 40) + "\"");
}

Status read_tool_result(const Json& block, const std::string& path, Json& messages) {
  FATHOM_ASSIGN(const std::string id, required_string(block, "tool_use_id", path));
  std::string text;
  if (const Json* content = find_member(block, "content")) {
    FATHOM_ASSIGN(text, read_tool_output(*content, key_path(path, "content")));
  }
  messages.push_back({{"role", "tool"}, {"tool_call_id", id}, {"content", text}});
  return {};
}

// Tool results become separate messages before the user's text.
Status read_user_block(const Json& block, const std::string& path, Json& message, Json& messages) {
  FATHOM_ASSIGN(const std::string type, required_string(block, "type", path));
  if (type == "tool_result") return read_tool_result(block, path, messages);
  if (type != "text") return unknown_block(path, type, "text or tool_result");
  FATHOM_ASSIGN(const std::string text, required_string(block, "text", path));
  append_line(message, "content", text);
  return {};
}

Status read_tool_use(const Json& block, const std::string& path, Json& message) {
  FATHOM_ASSIGN(const std::string id, required_string(block, "id", path));
  FATHOM_ASSIGN(const std::string name, required_string(block, "name", path));
  const Json* input = find_member(block, "input");
  if (input == nullptr || !input->is_object()) {
    return expected(key_path(path, "input"), "an object", input == nullptr ? Json() : *input);
  }
  message["tool_calls"].push_back(
      {{"id", id},
       {"type", "function"},
       {"function", {{"name", name}, {"arguments", dump_json(*input)}}}});
  return {};
}

// The text behind a call of Anthropic's own tools says what the tools did, so their blocks are left
// out.
bool is_of_server_tool(const std::string& type) {
  return type == "server_tool_use" || type == "mcp_tool_use" || type.ends_with("_tool_result");
}

Status read_assistant_block(const Json& block, const std::string& path, Json& message) {
  FATHOM_ASSIGN(const std::string type, required_string(block, "type", path));
  if (type == "tool_use") return read_tool_use(block, path, message);
  if (type == "redacted_thinking" || is_of_server_tool(type)) return {};
  if (type == "thinking") {
    FATHOM_ASSIGN(const std::string thought, required_string(block, "thinking", path));
    append_line(message, "reasoning_content", thought);
    return {};
  }
  if (type != "text") return unknown_block(path, type, "text, thinking or tool_use");
  FATHOM_ASSIGN(const std::string text, required_string(block, "text", path));
  append_line(message, "content", text);
  return {};
}

Status read_blocks(const Json& content, const std::string& path, Json& message, Json& messages) {
  if (content.is_string()) {
    message["content"] = content;
    return {};
  }
  if (!content.is_array()) return expected(path, "a string or an array of blocks", content);
  return read_array(content, path, kMaxBlocks, [&](const Json& block, const std::string& at) {
    if (!block.is_object()) return Status(expected(at, "an object with a type", block));
    return message["role"] == "user" ? read_user_block(block, at, message, messages)
                                     : read_assistant_block(block, at, message);
  });
}

Status read_message(const Json& value, const std::string& path, Json& messages) {
  if (!value.is_object()) return expected(path, "an object with role and content", value);
  FATHOM_ASSIGN(const std::string role, required_string(value, "role", path));
  if (role != "user" && role != "assistant" && role != "system") {
    return expected(key_path(path, "role"), "user, assistant or system", Json(role));
  }
  const std::string content_path = key_path(path, "content");
  const Json* content = find_member(value, "content");
  if (content == nullptr) {
    return invalid_argument(content_path + ": expected a string or an array of blocks, got nothing",
                            content_path);
  }
  Json message = {{"role", role}};
  if (role == "system") {
    FATHOM_ASSIGN(message["content"], read_text_parts(*content, content_path, {"text"}));
    messages.push_back(std::move(message));
    return {};
  }
  FATHOM_TRY(read_blocks(*content, content_path, message, messages));
  if (message.size() > 1) messages.push_back(std::move(message));
  return {};
}

}  // namespace

Status read_messages(const Json& value, const std::string& path, Json& messages) {
  if (value.is_array() && value.empty()) {
    return invalid_argument(path + ": expected at least one message, got none", path);
  }
  FATHOM_TRY(read_array(value, path, kMaxMessages, [&](const Json& item, const std::string& at) {
    return read_message(item, at, messages);
  }));
  if (messages.empty()) {
    return invalid_argument(path + ": expected at least one block, got none", path);
  }
  Json& last = messages.back();
  if (last["role"] == "assistant" && !last.contains("tool_calls")) last["prefix"] = true;
  return {};
}

}  // namespace fathom::api::anthropic
