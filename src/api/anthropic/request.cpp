#include "api/anthropic/request.h"

#include <nlohmann/json.hpp>

#include "api/anthropic/messages.h"
#include "api/schema/dialect.h"

namespace fathom::api::anthropic {

namespace {

using R = MessagesRequest;

constexpr size_t kMaxTools = 1024;
constexpr int64_t kMinBudget = 1024;  // as Anthropic's API requires

// Tools that Anthropic runs; a date or a version ends their types.
bool is_server_tool(const std::string& type) {
  for (const char* name : {"web_search_", "web_fetch_", "code_execution_", "tool_search_tool_"}) {
    if (type.starts_with(name)) return true;
  }
  return type == "mcp_toolset";
}

Status read_tools(const Json& value, const std::string& path, R& request) {
  request.chat["tools"] = Json::array();
  return read_array(value, path, kMaxTools, [&](const Json& tool, const std::string& at) -> Status {
    if (!tool.is_object()) return expected(at, "an object with name and input_schema", tool);
    const Json* type = find_member(tool, "type");
    if (type != nullptr && type->is_string() && is_server_tool(type->get<std::string>())) {
      request.left_out.push_back(tool_left_out(at, type->get<std::string>()));
      return {};
    }
    if (type != nullptr && *type != "custom") {
      return unsupported(key_path(at, "type"), "expected \"custom\", got " + json_excerpt(*type) +
                                                   "; this server has no tools of its own");
    }
    request.tool_paths.push_back(at);
    Json function = Json::object();
    for (const auto& [name, chat] : {std::pair("name", "name"),
                                     {"description", "description"},
                                     {"input_schema", "parameters"},
                                     {"strict", "strict"}}) {
      if (const Json* member = find_member(tool, name)) function[chat] = *member;
    }
    request.chat["tools"].push_back({{"type", "function"}, {"function", std::move(function)}});
    return {};
  });
}

Status read_tool_choice(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object with a type", value);
  FATHOM_ASSIGN(const std::string type, required_string(value, "type", path));
  if (const Json* disable = find_member(value, "disable_parallel_tool_use")) {
    FATHOM_ASSIGN(const bool one, read_bool(*disable, key_path(path, "disable_parallel_tool_use")));
    request.chat["parallel_tool_calls"] = !one;
  }
  Json& choice = request.chat["tool_choice"];
  if (type == "auto" || type == "none") {
    choice = type;
  } else if (type == "any") {
    choice = "required";
  } else if (type == "tool") {
    FATHOM_ASSIGN(const std::string name, required_string(value, "name", path));
    choice = {{"type", "function"}, {"function", {{"name", name}}}};
  } else {
    return expected(key_path(path, "type"), "auto, any, tool or none", Json(type));
  }
  return {};
}

Status read_thinking(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object with a type", value);
  FATHOM_ASSIGN(const std::string type, required_string(value, "type", path));
  if (type != "enabled" && type != "disabled" && type != "adaptive") {
    return expected(key_path(path, "type"), "enabled, adaptive or disabled", Json(type));
  }
  Json thinking = {{"type", type == "disabled" ? "disabled" : "enabled"}};
  if (const Json* budget = find_member(value, "budget_tokens")) {
    FATHOM_ASSIGN(thinking["budget_tokens"], read_integer(*budget, key_path(path, "budget_tokens"),
                                                          kMinBudget, kMaxTokenCount));
  }
  request.chat["thinking"] = std::move(thinking);
  return {};
}

// {"type": "json_schema", "schema": {...}}
Status read_format(const Json& value, const std::string& path, R& request) {
  const Json* type = value.is_object() ? find_member(value, "type") : nullptr;
  if (type == nullptr || *type != "json_schema") {
    return expected(path, "{\"type\": \"json_schema\", \"schema\": ...}", value);
  }
  const Json* schema = find_member(value, "schema");
  request.chat["response_format"] = {
      {"type", "json_schema"},
      {"json_schema",
       {{"name", "output"}, {"schema", schema == nullptr ? Json() : *schema}, {"strict", true}}}};
  return {};
}

Status read_output_config(const Json& value, const std::string& path, R& request) {
  if (!value.is_object()) return expected(path, "an object", value);
  const Json* format = find_member(value, "format");
  return format == nullptr ? Status() : read_format(*format, key_path(path, "format"), request);
}

Status read_metadata(const Json& value, const std::string& path, R&) {
  return value.is_object() ? Status() : Status(expected(path, "an object", value));
}

Field<R> required(Field<R> field) {
  field.info.required = true;
  return field;
}

FieldTable<R> make_table() {
  return {
      required(as_chat_field<R>("model")),
      {{"messages",
        "array",
        "The conversation: text, thinking, tool_use and tool_result.",
        "",
        {},
        {},
        true},
       [](const Json& value, const std::string& path, R& request) {
         return read_messages(value, path, request.messages);
       }},
      {{"system", "string or array", "Comes before the conversation."},
       [](const Json& value, const std::string& path, R& request) -> Status {
         FATHOM_ASSIGN(request.system, read_text_parts(value, path, {"text"}));
         return {};
       }},
      as_chat_field<R>("max_tokens"),
      as_chat_field<R>("stop_sequences", "stop"),
      as_chat_field<R>("stream"),
      as_chat_field<R>("temperature"),
      as_chat_field<R>("top_p"),
      as_chat_field<R>("top_k"),
      {{"tools", "array",
        "Functions that the model may call: name, description, input_schema; tools that Anthropic "
        "runs are left out."},
       read_tools},
      {{"tool_choice", "object", "type: auto, any, tool (with a name) or none.", "auto"},
       read_tool_choice},
      {{"thinking", "object", "type: enabled, adaptive or disabled; budget_tokens."},
       read_thinking},
      {{"output_config", "object", "format: {\"type\": \"json_schema\", \"schema\": ...}."},
       read_output_config},
      {{"output_format", "object", "An older name of output_config.format."}, read_format},
      {{"metadata", "object", "Who asks; not used."}, read_metadata},
      as_chat_field<R>("seed"),
      as_chat_field<R>("min_p"),
      as_chat_field<R>("min_tokens"),
      as_chat_field<R>("ignore_eos"),
      as_chat_field<R>("priority"),
      as_chat_field<R>("cache_salt"),
  };
}

}  // namespace

const FieldTable<MessagesRequest>& messages_field_table() {
  static const FieldTable<MessagesRequest> table = make_table();
  return table;
}

Error in_anthropic(Error error, const std::vector<std::string>& tool_paths) {
  return in_dialect(at_tool(std::move(error), tool_paths),
                    {{".function.parameters", ".input_schema"},
                     {".function", ""},
                     {"response_format.json_schema", "output_config.format"},
                     {"response_format", "output_config.format"},
                     {"stop", "stop_sequences"}});
}

Result<MessagesRequest> read_messages_request(const Json& body, bool only_count) {
  if (!body.is_object()) return expected("request body", "an object", body);
  MessagesRequest request;
  request.chat = Json::object();
  request.messages = Json::array();
  FATHOM_TRY(read_fields(messages_field_table(), body, "", request));
  if (!only_count && !request.chat.contains("max_tokens")) {
    return invalid_argument("max_tokens: expected an integer, got nothing", "max_tokens");
  }
  if (!request.system.empty()) {
    request.messages.insert(request.messages.begin(),
                            Json{{"role", "system"}, {"content", request.system}});
  }
  request.chat["messages"] = std::move(request.messages);
  return request;
}

}  // namespace fathom::api::anthropic
